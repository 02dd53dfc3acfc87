"""How tables of figures look on a terminal of 80 columns."""

from collections.abc import Iterable

from rich.box import SIMPLE
from rich.table import Column, Table


def figures_table(first: str, figures: Iterable[str], *, title: str = "") -> Table:
    """Make a table of a column of names and of narrow ones of figures, by their headings."""
    columns = (Column(heading, justify="right", no_wrap=True) for heading in figures)
    return Table(first, *columns, box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left")
