"""Imports of several tables: where one that was interrupted goes on."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.intake.files import TableFile
from forecast.intake.mapping import Mapping, mapping_text
from forecast.records import ImportRun

_LOOK_BACK = 1000  # runs; more tables than that are not one batch


@dataclass(frozen=True)
class Place:
    """The place of a table in an import of several, from 1."""

    batch: str
    place: int


def places(tables: Iterable[tuple[TableFile, Mapping]]) -> list[Place]:
    """Give the places of tables; the batch is told by the bytes of all and by how each is to be read."""
    said = [f"{table.title}\n{table.sha256}\n{mapping_text(mapping)}" for table, mapping in tables]
    batch = hashlib.sha256("\n".join(said).encode()).hexdigest()
    return [Place(batch, place) for place, _ in enumerate(said, start=1)]


def count_done(session: Session, batch: Sequence[Place]) -> int:
    """Count the first tables of a batch that are stored already, if its last import was interrupted.

    An import that ended is done again from its start, and so is one after which anything else was imported.
    """
    if len(batch) < 2:
        return 0
    newest = sa.select(ImportRun).order_by(ImportRun.id.desc()).limit(_LOOK_BACK)
    done: set[int] = set()
    for place in reversed(list(_places_of(batch[0].batch, session.scalars(newest)))):
        done.add(place)
        if len(done) == len(batch):
            done.clear()
    return len(done) if done == set(range(1, len(done) + 1)) else 0


def _places_of(batch: str, runs: Iterable[ImportRun]) -> Iterator[int]:
    """Give the places of the newest runs as long as they are of a batch."""
    for run in runs:
        if run.batch != batch or run.place is None:
            return
        yield run.place
