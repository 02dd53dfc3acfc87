"""The accuracy of past scores as tables for a terminal."""

from rich.box import SIMPLE
from rich.console import Group as Lines
from rich.markup import escape
from rich.table import Column, Table

from forecast.insight.accuracy import Accuracy, Group

_HEADINGS = ("scores", "won", "predicted", "log\nloss", "if\nconstant", "Brier", "ECE")


def render_accuracy(accuracy: Accuracy) -> Lines:
    """Lay out the whole, the calibration and the groups below one another."""
    judged = accuracy.overall.rows
    told = (
        f"{judged} scores judged of {accuracy.kept} (the first of each record and month); {accuracy.open} are of records still "
        f"open, {accuracy.young} of records too young to be judged; {accuracy.hindsight} more were made in hindsight, by versions "
        "that knew what came after, and say nothing"
    )
    dates = [_dates_table(accuracy)] if accuracy.dates else []
    return Lines(told, _groups_table(accuracy), _calibration_table(accuracy), *dates)


def _groups_table(accuracy: Accuracy) -> Table:
    figures = (Column(heading, no_wrap=True) for heading in _HEADINGS)
    title = f"Past scores of {accuracy.model}"
    # Of what doesn't fit into a terminal's 80 columns the names are folded, so that figures are whole.
    kinds = (Column(overflow="fold") for _ in range(2))
    table = Table(*kinds, *figures, title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    before = "all"
    for group in (Group(column="all", value="", measures=accuracy.overall), *accuracy.groups):
        if group.column != before:
            table.add_section()
        before = group.column
        table.add_row(group.column, escape(group.value), *_cells(group))
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


def _calibration_table(accuracy: Accuracy) -> Table:
    table = Table("scores", "predicted", "won", title="Calibration, from the least to the most probable", box=SIMPLE)
    for part in accuracy.calibration:
        table.add_row(f"{part.rows:,}", f"{part.predicted:.1%}", f"{part.observed:.1%}")
    return table


def _dates_table(accuracy: Accuracy) -> Table:
    table = Table(
        "of what was said", "scores", "predicted", "came", "Brier", title="Dates, of days that are over", box=SIMPLE
    )
    for promise in accuracy.dates:
        brier = "" if promise.brier is None else f"{promise.brier:.4f}"
        table.add_row(promise.what, f"{promise.rows:,}", f"{promise.predicted:.1%}", f"{promise.came:.1%}", brier)
    return table
