"""What an import did, to show to whoever started it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forecast.intake.mapping import Mapping as ColumnMapping


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of one table; every row read is new, changed, unchanged or rejected.

    Attributes:
        file: as it was given.
        part: which of its sheets, or the name in a zip archive; empty where the file is one table.
        kind: of its records.
        read: rows with any text in them, below the headings.
        changes: change rows that were written.
        custom_fields: name -> type of the custom fields that the file fills.
        ignored_columns: headings that were not read.
        mapping: that would read the file the same way again.
        rejects: the file of the rejected rows, where there are any and the import was not a dry run.
        warnings: sentences on what was decided for want of better knowledge.
        dry_run: whether nothing was stored.
    """

    file: Path
    part: str
    kind: str
    read: int
    new: int
    changed: int
    unchanged: int
    rejected: int
    changes: int
    custom_fields: Mapping[str, str]
    ignored_columns: tuple[str, ...]
    mapping: ColumnMapping
    rejects: Path | None
    warnings: tuple[str, ...]
    dry_run: bool
