"""What the commands share: the console, the clock and the opened database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from forecast.errors import FileError, InputError
from forecast.moments import read_moment
from forecast.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.orm import Session

console = Console(stderr=True, highlight=False, soft_wrap=True)
output = Console(highlight=False, soft_wrap=True)

ModelName = Annotated[str, typer.Argument(help="Name of the model, such as win_probability.")]
Models = Annotated[Path, typer.Option(help="Folder of the experiments: models/<name>/config.toml.")]
AsOf = Annotated[str | None, typer.Option(help="Moment (ISO); nothing known at or after it is used. Default: now.")]


def writable(path: Path | None) -> Path | None:
    """Refuse a file that can't be written, before anything is computed for it; a callback of options that name one.

    Raises:
        FileError: its folder is not there, it is a folder itself, or writing is not allowed.
    """
    if path is None:
        return None
    folder, why = path.absolute().parent, None
    if not folder.is_dir():
        why = "there is no such folder"
    elif path.is_dir():
        why = "it is a folder"
    elif not any(os.access(place, os.W_OK) for place in (folder, path)):
        why = "writing is not allowed there"
    if why is not None:
        raise FileError(f"{path} can't be written: {why}; give a file in a folder that is there and that you may use")
    return path


@contextmanager
def opened(settings: Settings) -> "Iterator[sa.Engine]":
    """Open the migrated database, and close its connections afterwards."""
    from forecast.store import migrate, open_engine

    engine = open_engine(settings)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def transaction(settings: Settings) -> "Iterator[Session]":
    """Open the migrated database for one unit of work."""
    from forecast.store import unit_of_work

    with opened(settings) as engine, unit_of_work(engine) as session:
        yield session


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def past_moment_of(text: str | None, settings: Settings) -> datetime:
    """Read a moment as `moment_of` does.

    Raises:
        InputError: it has not come yet.
    """
    moment, clock = moment_of(text, settings), now()
    if text is not None and moment > clock:
        raise InputError(
            f"{moment.isoformat()} is in the future (it is {clock.isoformat()}), and its outcomes are not known; name a moment that "
            "is over, or none for now"
        )
    return moment


def moment_of(text: str | None, settings: Settings) -> datetime:
    """Read a moment as a person writes it; now where none is given."""
    return now() if text is None else read_moment(text, settings.timezone)
