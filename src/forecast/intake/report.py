"""What an import did, to show to whoever started it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from forecast.intake.endings import StatusWord
from forecast.intake.mapping import CUSTOM
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
        words: of status and stage columns, with the status that each is taken for.
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
    words: tuple[StatusWord, ...]
    warnings: tuple[str, ...]
    dry_run: bool

    @property
    def uncertain(self) -> tuple[StatusWord, ...]:
        """Give the words whose status is a guess."""
        return tuple(word for word in self.words if not word.is_certain)

    @property
    def full_mapping(self) -> ColumnMapping:
        """Give the mapping with the status of every word in it, guesses included."""
        given = self.mapping
        words = {word.word: _as_mapped(word) for word in self.words} | dict(given.values.get("status", {}))
        if not words:
            return given
        # A column that was kept apart because its words were not known holds statuses once they are.
        apart = {word.heading for word in self.words if given.columns[word.heading] not in {"status", "stage"}}
        customs = {given.columns[heading].removeprefix(CUSTOM) for heading in apart}
        return replace(
            given,
            values={**given.values, "status": words},
            columns={**given.columns, **dict.fromkeys(apart, "status")},
            types={name: kind for name, kind in given.types.items() if name not in customs},
            times={name: time for name, time in given.times.items() if name not in customs},
        )

    @property
    def table(self) -> str:
        """Name the table in a mapping of several."""
        return f"{self.file.name}: {self.part}" if self.part else self.file.name


@dataclass(frozen=True)
class LeftOut:
    """A table that was not imported, why, and how it would be with a mapping."""

    name: str
    reason: str
    mapping: ColumnMapping


@dataclass(frozen=True)
class Imported:
    """What became of the tables of an import, in their order.

    `done` names those that an interrupted import had stored; they were not read again.
    """

    reports: tuple[ImportReport, ...]
    left_out: tuple[LeftOut, ...]
    done: tuple[str, ...]

    @property
    def mapping(self) -> ColumnMapping:
        """Give the mapping that would read the same tables the same way again."""
        if len(self.reports) == 1 and not self.left_out:
            return self.reports[0].full_mapping
        read = {report.table: report.full_mapping for report in self.reports}
        return ColumnMapping(tables=read | {one.name: one.mapping for one in self.left_out})


def _as_mapped(word: StatusWord) -> str:
    # A guess that nothing has ended leaves it to the other columns.
    return "" if word.status == "open" and not word.is_certain else word.status
