"""The win sets: opportunities with an outcome, as their protocols say to read them."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl

from forecast.errors import FileError

WIN_SETS = ("ibm", "uci_bank", "olist", "bpic12_approved", "bpic12_accepted", "maven_crm", "shimoku")


@dataclass(frozen=True, kw_only=True)
class WinSet:
    """Opportunities with an outcome, split into what was known and what is asked.

    Attributes:
        features: what peers may use, by type.
        time: column that orders the rows; None where the set knows no time.
        split_at: moment of the split; None where there is none.
        rows: one an opportunity, text as in the file; `split` is train, test, purged or open.
        history: rows by file, `stage_changes` and `activities`, where the set has them.
    """

    name: str
    features: dict[str, Literal["num", "cat"]]
    time: str | None
    split_at: datetime | None
    rows: pl.DataFrame
    history: dict[str, pl.DataFrame]

    @property
    def train(self) -> pl.DataFrame:
        """Rows that peers may fit on."""
        return self._part("train")

    @property
    def test(self) -> pl.DataFrame:
        """Rows that are judged, in the order of the file."""
        return self._part("test")

    def _part(self, split: str) -> pl.DataFrame:
        numbers = [name for name, kind in self.features.items() if kind == "num"]
        numbers += ["row"] if self.time == "row" else []
        return self.rows.filter(pl.col("split") == split).with_columns(pl.col(numbers).cast(pl.Float64))


def find_win_set(folder: Path, name: str) -> WinSet | None:
    """Read the set of that name under the data folder; None where it is absent.

    Raises:
        FileError: the opportunities are not those that the protocol was written for.
    """
    home = folder / "win" / name
    if not (home / "protocol.json").exists():
        return None
    protocol = json.loads((home / "protocol.json").read_text())
    rows = _read_text(_checked(_file(home, "opportunities"), protocol["sha256"]))
    if rows["split"].str.contains(r"^\d+$").all():
        rows = rows.with_columns(split=pl.when(pl.col("split") == "0").then(pl.lit("test")).otherwise(pl.lit("train")))
    history = {part: _read_text(_file(home, part)) for part in ("stage_changes", "activities") if _has(home, part)}
    rows = rows.filter(pl.col("split") != "dropped")
    return WinSet(
        name=name,
        features=protocol["features"],
        time=protocol["time"],
        split_at=datetime.fromisoformat(protocol["T"]) if "T" in protocol else None,
        rows=rows,
        history={part: _of(events, rows) for part, events in history.items()},
    )


def moment(column: str) -> pl.Expr:
    """Parse a text column of ISO dates and moments."""
    text = pl.col(column).str.replace("T", " ", literal=True)
    whole = pl.when(text.str.len_chars() == 10).then(text + " 00:00:00").otherwise(text)
    return whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")


def _file(home: Path, part: str) -> Path:
    plain = home / f"{part}.csv"
    return plain if plain.exists() else home / f"{part}.csv.gz"


def _has(home: Path, part: str) -> bool:
    return _file(home, part).exists()


def _checked(path: Path, sha256: str) -> bytes:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise FileError(f"{path} has SHA-256 {found}, its protocol.json says {sha256}; fetch the set again")
    return content


def _read_text(source: bytes | Path) -> pl.DataFrame:
    return pl.read_csv(source, infer_schema=False)


def _of(events: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return events.join(rows, left_on="opportunity_id", right_on="id", how="semi")
