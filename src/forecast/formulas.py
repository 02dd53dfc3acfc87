"""Text that a spreadsheet would run as a formula: an apostrophe in front makes it plain text, and comes off again.

Text that begins with one of the signs is guarded, unless it is a plain number such as -5 or +8613800000000, which can do
nothing. Text that looks guarded already gets one apostrophe more, so that taking one off always gives back what was.
"""

import polars as pl
import sqlalchemy as sa

_SIGNS = "=@\t\r＝＠＋－"
_ACTIVE = rf"^('*[{_SIGNS}]|'*[+\-](?![0-9]+(\.[0-9]+)?$)|'+[+\-])"
_GUARDED = rf"^'('*[{_SIGNS}+\-])"


def guarded(text: sa.ColumnElement[str | None]) -> sa.ColumnElement[str | None]:
    """Put an apostrophe before text that would be a formula."""
    return sa.case((text.op("~", is_comparison=True)(_ACTIVE), sa.literal("'") + text), else_=text)


def unguarded(texts: pl.Series) -> pl.Series:
    """Take the apostrophe off text that `guarded` put it on."""
    if not texts.str.starts_with("'").any():
        return texts
    return texts.str.replace(_GUARDED, "$1")
