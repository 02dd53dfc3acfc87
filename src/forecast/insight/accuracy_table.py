"""The accuracy of past scores as tables for a terminal, in English or Chinese."""

import re

from rich.box import SIMPLE
from rich.console import Group as Lines
from rich.markup import escape
from rich.table import Column, Table

from forecast.insight.accuracy import Accuracy, Group
from forecast.insight.findings import phrase
from forecast.wording import Language

_HEADINGS = ("scores", "won", "predicted", "log_loss", "if_constant", "brier", "calibration_error")
_NUMBERED = re.compile(r"(.*) (\d+)")


def render_accuracy(accuracy: Accuracy, language: Language) -> Lines:
    """Lay out the whole, the calibration and the groups below one another."""
    told = _word("judged", language).format(
        judged=accuracy.overall.rows,
        kept=accuracy.kept,
        open=accuracy.open,
        young=accuracy.young,
        hindsight=accuracy.hindsight,
    )
    dates = [_dates_table(accuracy, language)] if accuracy.dates else []
    return Lines(told, _groups_table(accuracy, language), _calibration_table(accuracy, language), *dates)


def _word(name: str, language: Language) -> str:
    return phrase("accuracy", name, language)


def _groups_table(accuracy: Accuracy, language: Language) -> Table:
    figures = (Column(_word(heading, language), no_wrap=True) for heading in _HEADINGS)
    title = _word("past_scores", language).format(model=accuracy.model)
    # Of what doesn't fit into a terminal's 80 columns the names are folded, so that figures are whole.
    kinds = (Column(overflow="fold") for _ in range(2))
    table = Table(*kinds, *figures, title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    before = "all"
    for group in (Group(column="all", value="", measures=accuracy.overall), *accuracy.groups):
        if group.column != before:
            table.add_section()
        before = group.column
        value = phrase("grades", group.value, language) if group.column == "grade" else group.value
        table.add_row(phrase("groups", group.column, language), escape(value), *_cells(group))
    return table


def _cells(group: Group) -> list[str]:
    found = group.measures
    return [
        f"{found.rows:,}",
        f"{found.won_share:.1%}",
        f"{found.predicted:.1%}",
        f"{found.log_loss:.4f}",
        f"{found.constant_log_loss:.4f}",
        f"{found.brier:.4f}",
        f"{found.calibration_error:.3f}",
    ]


def _calibration_table(accuracy: Accuracy, language: Language) -> Table:
    headings = (_word(name, language) for name in ("scores", "predicted", "won"))
    table = Table(*headings, title=_word("calibration", language), box=SIMPLE)
    for part in accuracy.calibration:
        table.add_row(f"{part.rows:,}", f"{part.predicted:.1%}", f"{part.observed:.1%}")
    return table


def _dates_table(accuracy: Accuracy, language: Language) -> Table:
    headings = (_word(name, language) for name in ("what", "scores", "predicted", "came", "brier"))
    table = Table(*headings, title=_word("dates", language), box=SIMPLE)
    for promise in accuracy.dates:
        brier = "" if promise.brier is None else f"{promise.brier:.4f}"
        cells = (f"{promise.rows:,}", f"{promise.predicted:.1%}", f"{promise.came:.1%}", brier)
        table.add_row(_promise(promise.what, language), *cells)
    return table


def _promise(what: str, language: Language) -> str:
    """Say what was said of days; a number at the end stays one."""
    numbered = _NUMBERED.fullmatch(what)
    words, number = numbered.groups() if numbered else (what, "")
    return phrase("promises", words, language).format(number=number)
