import pytest
from typer.testing import CliRunner

from forecast.cli import app


@pytest.fixture
def run(engine, monkeypatch):
    """Give a function that runs a command on an empty database, for a company in Shanghai."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FORECAST_TIMEZONE", "Asia/Shanghai")
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    ("make", "show"),
    [
        (["policy", "set", "--probability-high", "0.7", "--probability-medium", "0.4"], ["policy", "show"]),
        (["policy", "strategy", "A", "growing", "--en", "Visit"], ["policy", "strategies"]),
        (["keys", "create", "crm"], ["keys", "list"]),
    ],
)
def test_moments_are_those_of_the_companys_clock(run, make, show):
    """What is listed with a moment has it in FORECAST_TIMEZONE, and names the zone."""
    assert run(*make).exit_code == 0
    assert " CST" in run(*show).stdout


def test_what_was_decided_is_confirmed_in_the_language_asked_for(run, monkeypatch):
    """Commands that decide say so in Chinese where that is the language."""
    monkeypatch.setenv("FORECAST_LANGUAGE", "zh")
    assert (
        "分界值自下次评分起生效"
        in run("policy", "set", "--probability-high", "0.7", "--probability-medium", "0.4").stderr
    )
    assert "现已生效：拜访" in run("policy", "strategy", "A", "growing", "--zh", "拜访").stderr
