"""The service in front of an empty database, for the tests of records."""

import json
import uuid
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from forecast.records import RECORD_KINDS, Change, CustomField, Table, get_table
from forecast.settings import Settings
from forecast.store import unit_of_work
from serving.app import create_app
from serving.auth import create_key

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have the package httpx2
    from fastapi.testclient import TestClient

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
CUSTOM = {"region": "category", "score": "number", "confirmed": "boolean", "renewal": "date", "tags": "list"}
BESIDE = ("change", "audit_event", "custom_field", "idempotency_key", "merge")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        """Tell the moment."""
        return self.now


@dataclass(frozen=True)
class Service:
    """A service in front of a database of its own, with a key `crm` and custom fields of opportunities."""

    client: TestClient
    engine: sa.Engine
    clock: Clock

    def empty(self):
        """Forget all records and acts, and set the clock back."""
        with unit_of_work(self.engine) as session:
            for table in (*RECORD_KINDS, *BESIDE):
                session.execute(sa.delete(Table.metadata.tables[table]))
            session.add_all(CustomField(kind="opportunity", name=name, type=kind) for name, kind in CUSTOM.items())
        self.clock.now = NOW


@contextmanager
def open_service(server, home):
    """Open a service with a database of its own."""
    name = f"test_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE migrated"))
    engine = sa.create_engine(server.url.set(database=name), connect_args={"options": "-c timezone=UTC"})
    clock = Clock()
    with open_client(engine, clock, home, key="crm") as client:
        yield Service(client, engine, clock)
    engine.dispose()
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name}"))


def open_client(engine, clock, home, *, key, **settings):
    """Open the service of a database with a new key."""
    with unit_of_work(engine) as session:
        headers = {"Authorization": f"Bearer {create_key(session, key)}"}
    url = engine.url.render_as_string(hide_password=False)
    app = create_app(Settings(home=home, database_url=url, **settings), clock=clock)
    return TestClient(app, raise_server_exceptions=False, headers=headers)


def stored(engine, kind, record_id):
    """Read a record as the database has it."""
    table = get_table(kind)
    with unit_of_work(engine) as session:
        row = session.execute(sa.select(*table.columns).where(table.c.id == record_id)).mappings().one_or_none()
        return dict(row) if row else None


def changes(engine):
    """List (record, field, moment, old, new) of all change rows, in order."""
    names = ("record_id", "field", "changed_at", "old_value", "new_value")
    with unit_of_work(engine) as session:
        rows = session.execute(sa.select(*(getattr(Change, name) for name in names)).order_by(Change.id))
        return [tuple(row) for row in rows]


def bulk(api, lines, kind="opportunity", **headers):
    """Send JSON lines; texts and bytes go as they are."""
    texts = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines]
    return api.post(f"/v1/records/{kind}/bulk", content=b"\n".join(texts), headers=headers)
