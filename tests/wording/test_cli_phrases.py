"""What commands say to managers, in both languages."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

import forecast.cli
from forecast.cli.changes import _NAMES
from forecast.cli.phrases import chinese, say
from forecast.cli.revenue_tables import CATEGORY_NAMES
from forecast.insight.segments import SEGMENT_KEYS
from forecast.intake import STATUSES
from forecast.revenue.cells import LEVELS, NO_UNIT
from forecast.runs.habits import Verdict
from forecast.scoring.grades import Grade
from forecast.series.calendar import DAILY_NAMES, MONTHLY_NAMES, WEEKLY_NAMES

FOLDER = Path(forecast.cli.__file__).parent
HEADINGS = {"headings", "names"}


def said_in(tree):
    """Give the strings that a command says: arguments of `say`, and tuples of headings that go through it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
            yield from (part.value for part in node.args if isinstance(part, ast.Constant))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in HEADINGS:
            yield from (part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant))
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "map"
            and getattr(node.args[0], "id", "") == "say"
        ):
            yield from (part.value for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant))
        if isinstance(node, ast.GeneratorExp) and "say(" in ast.unparse(node.elt):
            places = ast.walk(node.generators[0].iter)
            yield from (part.value for part in places if isinstance(part, ast.Constant))


def spoken():
    """Give every phrase of the commands that speak to managers."""
    trees = [ast.parse(path.read_text()) for path in FOLDER.glob("*.py") if "import say" in path.read_text()]
    words = {text for tree in trees for text in said_in(tree) if isinstance(text, str) and text}
    return words | {
        *_NAMES.values(),
        *LEVELS,
        *NO_UNIT.values(),
        *CATEGORY_NAMES.values(),
        *SEGMENT_KEYS,
        *get_args(Grade),
        *get_args(Verdict),
        "won",
        "lost",
        "open",
        *STATUSES["lead"],
        *(*DAILY_NAMES.values(), *WEEKLY_NAMES.values(), *MONTHLY_NAMES.values()),
        *("CNY", "USD", "EUR", "GBP", "JPY", "HKD"),
    }


def test_every_phrase_has_its_chinese():
    """No phrase that a command says to managers lacks a language, and none is kept that nobody says."""
    said = spoken()
    assert said - chinese().keys() == set()
    source = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    plain = re.sub(r'"\s*\n\s*"', "", source)
    unsaid = {text for text in chinese() if text not in said and text not in plain}
    assert unsaid == set()


@pytest.mark.parametrize("english", list(chinese()))
def test_both_languages_fill_in_the_same_values(english):
    """A phrase names the same values in both languages."""
    assert set(re.findall(r"\{(\w+)\}", english)) == set(re.findall(r"\{(\w+)\}", chinese()[english]))


def test_the_language_of_the_settings_is_spoken(monkeypatch):
    """A phrase is said in the language of FORECAST_LANGUAGE; a name of the company's own stays as it is."""
    monkeypatch.setenv("FORECAST_LANGUAGE", "zh")
    assert say("by {level}, {months} months", level=say("team"), months=6) == "按团队，6 个月"
    assert say("Sales Europe") == "Sales Europe"
    monkeypatch.setenv("FORECAST_LANGUAGE", "en")
    assert say("unit") == "unit"
