import pytest
from typer.testing import CliRunner

from forecast.cli import app
from forecast.records import Opportunity
from forecast.store import unit_of_work


@pytest.fixture
def run(engine, monkeypatch):
    """Give a function that runs a command and gives its standard output."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", engine.url.render_as_string(hide_password=False))

    def command(*words):
        result = CliRunner().invoke(app, ["pipelines", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    return command


def test_a_pipeline_is_shown_edited_set_and_shown_again(run, tmp_path):
    """What `show --toml` prints can be set; what changed then is in the history."""
    file = tmp_path / "pipeline.toml"
    file.write_text(run("show", "--toml"), encoding="utf-8")
    run("set", str(file))
    assert "nothing changed" in run("history")
    file.write_text(file.read_text(encoding="utf-8").replace('"Solution"', '"Pilot"'), encoding="utf-8")
    run("set", str(file))
    shown, told = run("show"), run("history")
    assert "Pilot" in shown
    assert "Solution" not in shown
    assert "added" in told
    assert "removed" in told
    assert "Solution" in run("show", "--as-of", "2026-01-01")


def test_the_name_of_a_stage_is_shown_as_it_is(run, tmp_path):
    """Square brackets are text, of a table as of a file."""
    file = tmp_path / "pipeline.toml"
    file.write_text(run("show", "--toml").replace('"Solution"', '"[b]Pilot"'), encoding="utf-8")
    run("set", str(file))
    assert " [b]Pilot " in run("show")
    assert '"[b]Pilot"' in run("show", "--toml")


def test_stages_that_are_in_use_are_in_the_file_to_edit(run, engine):
    """A company with stages of its own starts from these."""
    with unit_of_work(engine) as session:
        session.add(Opportunity(id="1", external_id="1", stage='My "own" stage'))
    text = run("show", "--toml")
    assert r'name = "My \"own\" stage"' in text
    assert "Quoted" not in text
