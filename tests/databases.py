"""Databases of a test's own."""

import uuid
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def open_database(server):
    """Open a database of its own, built by the migrations and empty."""
    name = f"test_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy"))
    own = sa.create_engine(server.url.set(database=name), connect_args={"options": "-c timezone=UTC"})
    yield own
    own.dispose()
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name}"))
