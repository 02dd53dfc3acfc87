"""Keys of the API."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from forecast.errors import AccessError, ConflictError, InputError, NotFoundError
from forecast.records import ApiKey
from forecast.store import unit_of_work
from serving.auth import check_key, create_key, list_keys, revoke_key

MOMENT = datetime(2026, 9, 1, tzinfo=UTC)


def test_a_secret_is_long_and_new(engine):
    """A secret is fc_ and 43 characters, and no two are equal."""
    with unit_of_work(engine) as session:
        secrets = {create_key(session, name) for name in ("a", "b", "c")}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"fc_[A-Za-z0-9_-]{43}", secret) for secret in secrets)


def test_only_the_digest_is_stored(engine):
    """A stolen database opens no door."""
    with unit_of_work(engine) as session:
        secret = create_key(session, "crm")
    with unit_of_work(engine) as session:
        row = session.execute(sa.select(ApiKey.__table__)).one()
    assert all(secret not in str(value) and secret[3:] not in str(value) for value in row)


def test_a_key_is_known_until_it_is_revoked(engine):
    """A secret gives its key's name; after revoking, an error that says when."""
    with unit_of_work(engine) as session:
        secret = create_key(session, "crm")
    with unit_of_work(engine) as session:
        assert check_key(session, secret) == "crm"
        revoke_key(session, "crm", at=MOMENT)
    with unit_of_work(engine) as session, pytest.raises(AccessError, match="revoked at 2026-09-01"):
        check_key(session, secret)


def test_a_name_is_used_once(engine):
    """Keys are told apart by their names, for good."""
    with unit_of_work(engine) as session:
        create_key(session, "crm")
        with pytest.raises(ConflictError, match="crm"):
            create_key(session, "crm")


def test_a_key_needs_a_name(engine):
    """Nobody could say later whose it is."""
    with unit_of_work(engine) as session, pytest.raises(InputError, match="name"):
        create_key(session, " ")


def test_revoking_names_what_it_did_not_find(engine):
    """A mistyped name is answered with the names there are; a second time with the moment of the first."""
    with unit_of_work(engine) as session:
        create_key(session, "crm")
        with pytest.raises(NotFoundError, match="crm"):
            revoke_key(session, "cmr", at=MOMENT)
        revoke_key(session, "crm", at=MOMENT)
        with pytest.raises(ConflictError, match="2026-09-01"):
            revoke_key(session, "crm", at=MOMENT)


def test_keys_are_listed_without_secrets(engine):
    """A list says names and moments, in the order in which keys were made."""
    with unit_of_work(engine) as session:
        create_key(session, "old")
        create_key(session, "new")
        revoke_key(session, "old", at=MOMENT)
    with unit_of_work(engine) as session:
        keys = list_keys(session)
    assert [(key.name, key.revoked_at) for key in keys] == [("old", MOMENT), ("new", None)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/opportunities/score"),
        ("GET", "/v1/opportunities"),
        ("GET", "/v1/opportunities/x"),
        ("GET", "/v1/models"),
    ],
)
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer fc_wrong"}, {"X-API-Key": "fc_wrong"}, {"Authorization": "Basic YTpi"}]
)
def test_every_resource_needs_a_key(client, method, path, headers):
    """Without a key that is known: 401, how to make one, and which scheme is expected."""
    del client.headers["Authorization"]
    answer = client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert "forecast keys create NAME" in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_no_resource_is_forgotten(client):
    """Every path under /v1 declares the key it needs."""
    paths = client.get("/openapi.json").json()["paths"]
    assert {path for path in paths if not path.startswith("/v1/")} == {"/healthz", "/readyz"}
    for path, methods in paths.items():
        for operation in methods.values():
            assert ("security" in operation) == path.startswith("/v1/")


def test_a_key_is_taken_from_either_header(client):
    """`Authorization: Bearer` and `X-API-Key` are equal."""
    secret = client.headers.pop("Authorization").removeprefix("Bearer ")
    assert client.get("/v1/models", headers={"X-API-Key": secret}).status_code == 200
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_a_revoked_key_opens_nothing(client, stored):
    """Revoking holds from the next request on."""
    assert client.get("/v1/models").status_code == 200
    with unit_of_work(stored) as session:
        revoke_key(session, "tests", at=MOMENT)
    answer = client.get("/v1/models")
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]
