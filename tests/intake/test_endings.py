"""How commands end when the machine fails them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from forecast.cli import _sentence_of
from forecast.errors import FileError, StoreError
from forecast.settings import Settings
from forecast.store import open_engine

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    "write", [pl.DataFrame.write_csv, pl.DataFrame.write_parquet, lambda _, path: path.write_text("x")]
)
def test_a_full_disk_ends_a_command_with_a_sentence(write, tmp_path):
    """It says that the disk is full and what to do, whoever was writing, and whatever was made of the error."""
    path = tmp_path / "full"
    path.symlink_to(FULL)
    with pytest.raises((OSError, pl.exceptions.ComputeError)) as failed:
        write(pl.DataFrame({"a": range(10_000)}), path)
    for error in (failed.value, FileError(f"{path} can't be written: {failed.value}")):
        assert _sentence_of(error) == "the disk is full; free some space, then run the command again"


def test_a_database_that_breaks_off_ends_a_command_with_a_sentence(engine):
    """A server that is stopped in the midst is named as the cause; errors that nobody foresaw are shown whole."""
    with engine.connect() as connection, engine.connect() as other:
        process = connection.scalar(sa.select(sa.func.pg_backend_pid()))
        other.execute(sa.select(sa.func.pg_terminate_backend(process)))
        with pytest.raises(sa.exc.OperationalError) as broken:
            connection.execute(sa.select(1))
        connection.invalidate()
    assert (_sentence_of(broken.value) or "").startswith("the database broke off: ")
    assert _sentence_of(ZeroDivisionError()) is None


@pytest.mark.parametrize("address", ["nonsense", "sqlite:///records.db", "postgresql://u:p@host:port/name"])
def test_what_is_no_address_of_a_database_is_refused(address):
    """The form of an address is shown, and never the one that was given: it may hold a password."""
    with pytest.raises(StoreError, match="give postgresql://") as refused:
        open_engine(Settings(database_url=address))
    assert address not in str(refused.value)


def test_an_interrupted_command_says_so(engine, tmp_path):
    """Ctrl+C ends it with a sentence and status 130."""
    mapping, address = tmp_path / "waits.toml", engine.url.render_as_string(hide_password=False)
    os.mkfifo(mapping)
    command = [Path(sys.executable).with_name("forecast"), "import", tmp_path, "--mapping", mapping]
    environment = {**os.environ, "FORECAST_HOME": str(tmp_path), "FORECAST_DATABASE_URL": address}
    stopped = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    pipe = _writer(mapping, stopped)
    stopped.send_signal(signal.SIGINT)
    os.close(pipe)
    said = stopped.communicate(timeout=300)[1]
    assert (stopped.returncode, said.strip()) == (130, "stopped; what was finished is kept")


def _writer(pipe, reader):
    """Open a pipe to write to, once a program reads it."""
    while reader.poll() is None:
        with suppress(OSError):  # nobody reads it yet
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.05)
    raise AssertionError(reader.communicate()[1])
