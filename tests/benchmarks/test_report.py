import io

import pytest
from rich.console import Console

from benchmarks.report import failures, markdown, show

METHOD = {"auc": 0.7, "log_loss": 0.58, "brier": 0.2, "ece": 0.04, "ece_by_chance": 0.01, "lift": 2.0, "seconds": 1.0}
RESULTS = {
    "started_at": "2026-11-21T12:00:00+00:00",
    "machine": {"cores": 2, "python": "3.11.7", "packages": {"polars": "2.1.0", "optuna": None}},
    "sets": [
        {
            "name": "offers",
            "train_count": 3036,
            "test_count": 894,
            "base_rate": 0.404,
            "methods": [
                {"method": "Forecast", **METHOD, "promoted": True, "basis": "own"},
                {"method": "prior", **METHOD, "ratio": 0.866, "difference": -0.0931, "difference_error": 0.0112},
            ],
        },
        {"name": "leads", "absent": True},
    ],
    "shuffled": [{"name": "offers", **METHOD, "promoted": True, "basis": "own"}, {"name": "leads", "absent": True}],
    "figures": [{"name": "buyers", "capture": {"model": 0.7}}, {"name": "reps", "absent": True}],
    "speed": [{"task": "read", "seconds": 1.5, "yardstick": "COPY", "yardstick_seconds": 1.0}],
}


def shown(results) -> str:
    """Give what the terminal shows."""
    console = Console(file=io.StringIO(), width=200)
    show(results, console)
    return console.file.getvalue()


@pytest.mark.parametrize("write", [markdown, shown])
def test_report_tells_everything_measured(write):
    """Every set, method, ratio and absence is told, on the terminal and in Markdown."""
    text = write(RESULTS)
    for told in (
        "offers: 3,036",
        "0.866",
        "-0.0931 ± 0.0112",
        "COPY",
        "1.5",
        "leads: not measured, absent",
        "capture model",
        "reps: not",
    ):
        assert told in text


def test_markdown_tables_are_even():
    """Every row of a table has as many cells as its heading."""
    for table in markdown(RESULTS).split("\n\n"):
        assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) <= 1


@pytest.mark.parametrize("write", [markdown, shown])
def test_a_failed_command_is_told_in_full(write):
    """A method that failed has a row that says so, and what the command said stands below."""
    broken = {
        **RESULTS,
        "sets": [{**RESULTS["sets"][0], "methods": [{"method": "Forecast", "failed": "no such command"}]}],
    }
    assert failures(broken) == ["offers: no such command"]
    assert "no such command" in write(broken)
    assert failures(RESULTS) == []
    assert failures({**RESULTS, "crashed": [{"name": "speed of import", "failed": "no disk"}]}) == [
        "speed of import: no disk"
    ]


def test_a_model_promoted_on_shuffled_outcomes_is_not_as_it_should_be():
    """The last column says no where a version was promoted though there was nothing to learn."""
    row = next(line for line in markdown(RESULTS).splitlines() if line.startswith("| offers"))
    assert row.endswith("| no |")
