"""The rows that were refused, written so that they can be corrected and imported again."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

_REMEDY = (
    "put cells that hold the separator, a quotation mark or a line break in quotation marks; "
    "where the row is right as it stands here, empty reject_value"
)
HEADINGS = ("reject_row", "reject_column", "reject_value", "reject_reason", "reject_remedy")


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a row: the first cell that could not be used."""

    column: str
    value: str
    reason: str
    remedy: str


def misshapen(cells: Sequence[str], width: int) -> Trouble:
    """Say what is wrong with a row that has not a cell a heading; its value is the whole row, so that nothing is lost."""
    reason = f"has {len(cells)} cells where the headings are {width}"
    if len(cells) == width:
        reason = "holds a quotation mark that is never closed"
    return Trouble("", _as_line(cells), reason, _REMEDY)


def _as_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def still_misshapen(headings: Sequence[str], cells: Sequence[str]) -> Trouble | None:
    """Find the trouble of a row of a rejects file that was refused for its shape and is as it was written there.

    Args:
        headings: of the file.
        cells: of the row, stripped.
    """
    named = dict(zip(headings, cells, strict=True))
    if named["reject_column"] or not named["reject_value"]:
        return None
    own = [cell for heading, cell in named.items() if heading not in HEADINGS]
    refused = next(csv.reader(io.StringIO(named["reject_value"], newline="")), [])
    if [cell.strip() for cell in _fitted(refused, len(own))] != own:
        return None
    return Trouble("", named["reject_value"], named["reject_reason"], named["reject_remedy"])


def _fitted(cells: Sequence[str], width: int) -> list[str]:
    return [*cells, *[""] * (width - len(cells))][:width]


@dataclass
class RejectsFile:
    """A CSV file of refused rows; nothing is written before the first.

    Attributes:
        path: where it is written; None counts only.
        headings: of the file that is read; its own reject columns give way to the new ones.
        count: rows refused so far.
        causes: the first trouble of each column and reason -> how many rows it refused.
    """

    path: Path | None
    headings: Sequence[str]
    count: int = 0
    causes: dict[tuple[str, str], tuple[Trouble, int]] = field(default_factory=dict)
    _file: TextIO | None = field(default=None, repr=False)

    def add(self, rows: Iterable[tuple[int, Sequence[str], Trouble]]) -> None:
        """Write rows: their number in the file, their cells as they were, and the trouble."""
        for number, cells, trouble in rows:
            self.count += 1
            first, times = self.causes.get((trouble.column, trouble.reason), (trouble, 0))
            self.causes[trouble.column, trouble.reason] = (first, times + 1)
            if self.path is not None:
                self._write(
                    [*self._own(cells), str(number), trouble.column, trouble.value, trouble.reason, trouble.remedy]
                )

    def _own(self, cells: Sequence[str]) -> list[str]:
        fitted = _fitted(cells, len(self.headings))
        return [cell for heading, cell in zip(self.headings, fitted, strict=True) if heading not in HEADINGS]

    def _write(self, cells: Sequence[str]) -> None:
        if self._file is None and self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The mark lets Excel see that it is UTF-8.
            self._file = self.path.open("w", encoding="utf-8-sig", newline="")
            csv.writer(self._file).writerow(
                [*(heading for heading in self.headings if heading not in HEADINGS), *HEADINGS]
            )
        csv.writer(self._file).writerow(cells)  # type: ignore[arg-type]  # opened above

    def close(self) -> Path | None:
        """Close the file; give its path, or None where there were no rows, and remove what an earlier import left."""
        if self._file is not None:
            self._file.close()
        if self.path is not None and not self.count:
            self.path.unlink(missing_ok=True)
        return self.path if self.count else None

    def most_frequent(self, number: int) -> list[tuple[Trouble, int]]:
        """Give the causes that refused most rows, each as its first trouble with how many rows it refused."""
        return sorted(self.causes.values(), key=lambda cause: -cause[1])[:number]

    def restart(self) -> None:
        """Forget every row, for a second try at the same file."""
        self.discard()
        self._file = None
        self.count = 0
        self.causes.clear()

    def discard(self) -> None:
        """Close and remove the file, for an import that failed."""
        if self._file is not None and self.path is not None:
            self._file.close()
            self.path.unlink(missing_ok=True)
