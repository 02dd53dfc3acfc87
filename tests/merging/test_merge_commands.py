from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from forecast.cli import app
from forecast.records import Account, Order
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)


@pytest.fixture
def run(engine, monkeypatch):
    """Store three accounts that are one, and give a function that runs a command and gives what it prints."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    with unit_of_work(engine) as session:
        for one, name in (("A", "Acme Ltd"), ("B 1", "ACME"), ("C", "Acme GmbH")):
            session.add(Account(id=one, external_id=one, name=name, size="big" if one == "C" else None))
        session.add(Order(id="1", external_id="1", account_id="C"))

    def command(*words):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    return command


def test_duplicates_are_shown_with_the_command_that_merges_them(run, tmp_path):
    """The whole group is named, ids with spaces quoted; --out writes all pairs with their reasons."""
    assert "forecast merge account A 'B 1' C" in run("duplicates", "accounts")
    assert "0 pairs" in run("duplicates", "leads")
    run("duplicates", "accounts", "--out", str(tmp_path / "pairs.csv"))
    assert "the same name but for legal form" in (tmp_path / "pairs.csv").read_text()


def test_records_are_merged_listed_and_unmerged(run, engine):
    """Each merge has a number that undoes it."""
    said = run("merge", "account", "A", "B 1", "C", "--fill", "size")
    assert "1 order.account_id; filled: size; undo with: forecast unmerge 2" in said
    assert "A │ C" in run("unmerge")
    assert "1 references are restored" in run("unmerge", "2")
    assert "A │ C" not in run("unmerge")
    with unit_of_work(engine) as session:
        assert session.scalar(sa.select(Order.account_id)) == "C"
