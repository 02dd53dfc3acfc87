"""Imports that are killed, and imports at the same time: every table ends as if nothing had happened.

`FORECAST_TEST_KILLS=50 pytest tests/intake/test_intake_killed.py` kills at fifty moments; without it, at one.
"""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from clock import NOW
from sqlalchemy.orm import Session

from forecast.intake import import_files
from forecast.records import Account, Change, ImportRun, Opportunity
from forecast.store import unit_of_work

KILLS = int(os.environ.get("FORECAST_TEST_KILLS", "1"))
ROWS = 20_000
TABLES = (Account, Change, Opportunity)
LEFT_OUT = {"stored_at"}


@pytest.fixture
def export(tmp_path):
    """Write a folder of accounts, opportunities and the history of their stages, one id twice, one row unreadable."""
    folder = tmp_path / "export"
    folder.mkdir()
    names = [f"Account {place}" for place in range(2_000)]
    (folder / "accounts.csv").write_text("Account Name,Industry\n" + "".join(f"{name},Steel\n" for name in names))
    deals = [
        f"O{place},{names[place % 2000]},{place % 900},{('won', 'lost', 'open')[place % 3]},hue {place % 7}\n"
        for place in range(ROWS)
    ]
    deals += ["O7,Account 1,5,won,hue 1\n", "O9,Account 2,many,won,hue 1\n"]
    (folder / "opportunities.csv").write_text("Deal ID,Account Name,Amount,Outcome,Hue\n" + "".join(deals))
    moves = [f"O{place},{stage},2024-01-0{day}\n" for place in range(ROWS // 2) for day, stage in ((1, "A"), (2, "B"))]
    (folder / "stage_history.csv").write_text("Opportunity ID,Stage,Changed At\n" + "".join(moves))
    return folder


def start(engine, folder):
    """Start `forecast import` on a folder as a process of its own."""
    url = engine.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", "from forecast.cli import app; app()", "import", str(folder)],
        env={**os.environ, "FORECAST_DATABASE_URL": url, "FORECAST_HOME": str(folder.parent / "home")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(engine):
    """Read every table but for what tells when or in which order rows came."""
    with Session(engine) as session:
        return {
            table.__tablename__: sorted(
                map(str, session.execute(sa.select(*(c for c in table.__table__.c if c.name not in _left_out(table)))))
            )
            for table in TABLES
        }


def _left_out(table):
    # A change that the import itself made is dated by it.
    return LEFT_OUT | ({"id", "changed_at"} if table is Change else set())


def clear(engine):
    """Empty every table that an import writes."""
    names = ", ".join(table.__tablename__ for table in (*TABLES, ImportRun))
    with unit_of_work(engine) as session:
        session.execute(sa.text(f"TRUNCATE {names}, custom_field"))


def wait_until_importing(engine, process):
    """Wait until a process holds the lock of an import, or ends."""
    lock = sa.text(
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.objid <> 7305001"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while process.poll() is None and not connection.scalar(lock):
            time.sleep(0.002)


def test_an_import_that_is_killed_is_completed_by_the_next(engine, export):
    """Whenever it is killed, whole tables are stored or nothing of them, and the next import ends in equal tables."""
    process = start(engine, export)
    wait_until_importing(engine, process)
    begun = time.perf_counter()
    assert process.wait() == 0
    lasted = time.perf_counter() - begun
    expected = contents(engine)
    assert [len(expected["account"]), len(expected["opportunity"])] == [2_000, ROWS]
    assert len(expected["change"]) > ROWS
    moments = random.Random(KILLS)
    for _ in range(KILLS):
        clear(engine)
        process = start(engine, export)
        wait_until_importing(engine, process)
        time.sleep(moments.uniform(0, lasted))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = contents(engine)
        assert all(rows in ([], expected[name]) for name, rows in found.items() if name != "change")
        again = start(engine, export)
        assert again.wait() == 0
        assert contents(engine) == expected


def test_two_imports_at_once_store_each_record_once(engine, export, tmp_path):
    """They wait for each other, kind by kind, and what both have is stored by one."""

    def load(_):
        return import_files(engine, [export], imported_at=NOW, rejects_folder=tmp_path / "rejects")

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(load, range(2))
    stored = contents(engine)
    assert [len(stored["account"]), len(stored["opportunity"])] == [2_000, ROWS]
    new = [(report.kind, report.new) for found in (first, second) for report in found.reports if report.new]
    assert sorted(kind for kind, _ in new) == ["account", "change", "opportunity"]


@pytest.fixture
def small(tmp_path):
    """Write a folder of three small tables."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"deals_{name}.csv").write_text(f"id,outcome\n{name},won\n")
    return folder


def test_an_interrupted_import_goes_on_where_it_was(engine, small, tmp_path):
    """Tables that it had stored are not read again; once it has ended, all are."""

    def load(**options):
        return import_files(engine, [small], imported_at=NOW, rejects_folder=tmp_path / "rejects", **options)

    assert load().done == ()
    assert load().done == ()
    with unit_of_work(engine) as session:
        session.execute(sa.delete(ImportRun).where(ImportRun.place == 3))
        session.execute(sa.delete(Opportunity).where(Opportunity.id == "c"))
    assert load(dry_run=True).done == ()
    resumed = load()
    assert resumed.done == ("deals_a.csv", "deals_b.csv")
    assert [report.new for report in resumed.reports] == [1]
    assert load().done == ()


def test_what_was_imported_in_between_is_not_taken_for_an_interruption(engine, small, tmp_path):
    """After another import, or with other bytes, an interrupted one begins anew."""

    def load(path):
        return import_files(engine, [path], imported_at=NOW, rejects_folder=tmp_path / "rejects")

    def interrupt():
        with unit_of_work(engine) as session:
            session.execute(sa.delete(ImportRun).where(ImportRun.place == 3))

    load(small)
    interrupt()
    load(small / "deals_a.csv")
    assert load(small).done == ()
    interrupt()
    (small / "deals_b.csv").write_text("id,outcome\nb,lost\n")
    assert load(small).done == ()
