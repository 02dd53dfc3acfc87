from datetime import UTC, date, datetime

import polars as pl
import pytest
import sqlalchemy as sa

from forecast.errors import StoreError
from forecast.records import Opportunity, Person, Table
from forecast.settings import Settings
from forecast.store import _own_database, copy_frame, migrate, open_engine, read_frame, schema_drift, unit_of_work

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)


def test_migrations_build_the_tables_as_declared(engine):
    """The migrated database and the declared tables agree."""
    assert schema_drift(engine) == []


def test_migrating_twice_changes_nothing(engine):
    """A database at the newest schema is left as it is."""
    migrate(engine)
    assert schema_drift(engine) == []


def test_a_newer_database_is_refused(engine):
    """A schema this program does not know is named, not guessed at."""
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        migrate(engine)


def test_values_come_back_as_they_went_in(engine):
    """COPY in and out keeps microseconds, quotes, tabs, newlines, backslashes, Chinese, and tells an empty text from a missing one."""
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "external_id": ["", "x\ny\r\tz", "\\N"],
            "name": ['say "hi", 张三 \\t', "", None],
            "created_at": [MOMENT, None, MOMENT],
            "expected_close_on": [date(2024, 2, 29), None, None],
            "amount": [0.25, None, -3.0],
        }
    )
    with unit_of_work(engine) as session:
        copy_frame(session, Opportunity.__table__, frame)
    with unit_of_work(engine) as session:
        columns = [getattr(Opportunity, name) for name in frame.columns]
        assert read_frame(session, sa.select(*columns).order_by(Opportunity.id)).equals(
            frame.with_columns(pl.col("created_at").cast(pl.Datetime("us", "UTC")))
        )


def test_an_empty_table_gives_an_empty_frame_with_types(engine):
    """No rows is an answer of its own, not an error."""
    with unit_of_work(engine) as session:
        frame = read_frame(session, sa.select(Person.id, Person.active, Person.created_at))
    assert frame.schema == {"id": pl.String, "active": pl.Boolean, "created_at": pl.Datetime("us", "UTC")}
    assert frame.is_empty()


def test_an_error_leaves_nothing_behind(engine):
    """A unit of work is whole or nothing."""

    def half_done():
        with unit_of_work(engine) as session:
            session.add(Person(id="p", external_id="p"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_done()
    with unit_of_work(engine) as session:
        assert session.get(Person, "p") is None


def test_the_embedded_server_sorts_text_by_its_bytes(server):
    """The order of ids is the same on every machine, and quick to build an index of."""
    with server.connect() as connection:
        asked = sa.text("SELECT datname, datlocprovider FROM pg_database WHERE datname = current_database()")
        assert connection.execute(asked).one() == ("forecast", "b")


def test_records_of_an_earlier_version_stay_where_they_are(engine):
    """A database that holds records is gone on with, whatever its name."""
    assert _own_database(engine.url.render_as_string()) == engine.url.database


def test_a_server_that_does_not_answer_is_named():
    """The message says which address was tried and what to do."""
    with pytest.raises(StoreError, match="FORECAST_DATABASE_URL"):
        open_engine(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))


def test_every_column_declares_when_it_is_known():
    """A column that no one decided on would slip into snapshots or be missed."""
    undeclared = [
        f"{table.name}.{column.name}"
        for table in Table.metadata.tables.values()
        for column in table.columns
        if column.info.get("time") not in {"fixed", "tracked", "outcome"}
    ]
    assert undeclared == []
