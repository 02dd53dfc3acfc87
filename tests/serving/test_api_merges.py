"""What the API says of duplicates, and how it merges them."""

import pytest
import sqlalchemy as sa

from forecast.records import Account, Opportunity
from forecast.store import unit_of_work

PATH = "/v1/merges"


@pytest.fixture
def stored(engine):
    """Store two accounts that are one, with an opportunity of the second."""
    with unit_of_work(engine) as session:
        session.add(Account(id="A00001", external_id="A00001", name="Acme Ltd", domain="acme.com"))
        session.add(Account(id="twin", external_id="twin", name="ACME limited", domain="www.acme.com", size="tiny"))
        session.add(Opportunity(id="O1", external_id="O1", account_id="twin"))
    return engine


@pytest.fixture
def client(settings, open_client):
    """Open the service; no model is needed."""
    return open_client(settings)


def account_of_opportunity(engine):
    """Read the account of the opportunity."""
    with unit_of_work(engine) as session:
        return session.scalar(sa.select(Opportunity.account_id))


def test_duplicates_are_proposed_with_reasons(client):
    """The surest pair comes first, with its evidence as codes and in words of the language asked for."""
    answer = client.get("/v1/duplicates/account", params={"language": "zh", "limit": 1}).json()
    (pair,) = answer["pairs"]
    assert (pair["id"], pair["other_id"]) == ("A00001", "twin")
    assert pair["confidence"] > 0.95
    assert pair["evidence"][1] == {"field": "domain", "result": "same", "sentence": "域名相同"}
    assert answer["total"] == 1


def test_only_accounts_and_leads_have_duplicates(client):
    """Another kind is refused with those that exist."""
    answer = client.get("/v1/duplicates/order")
    assert answer.status_code == 422
    assert "account" in answer.json()["detail"]


def test_a_merge_is_made_listed_and_undone(client, stored):
    """The answer says what was repointed and filled; undoing puts it back."""
    body = {"kind": "account", "keep_id": "A00001", "other_ids": ["twin"], "fill": ["size"]}
    answer = client.post(PATH, json=body)
    assert answer.status_code == 201
    (merge,) = answer.json()["merges"]
    assert (merge["moved"], merge["filled"]) == ({"opportunity.account_id": 1}, {"size": "tiny"})
    assert merge["merged_by"] == "tests"
    assert account_of_opportunity(stored) == "A00001"
    assert client.get(PATH).json()["merges"] == [merge]
    undone = client.delete(f"{PATH}/{merge['id']}")
    assert undone.json() == {"id": merge["id"], "restored": 1, "left": []}
    assert account_of_opportunity(stored) == "twin"
    assert client.get(PATH).json()["merges"] == []


def test_who_asks_for_a_merged_record_is_told_where_it_went(client):
    """Reading, changing and restoring it name the record that was kept in the end, not one on the way."""
    client.put("/v1/records/account/A00002", json={"name": "Acme Works"})
    for keep, other in (("A00002", "twin"), ("A00001", "A00002")):
        client.post(PATH, json={"kind": "account", "keep_id": keep, "other_ids": [other]})
    address = "/v1/records/account/twin"
    answers = [client.get(address), client.patch(address, json={"size": "s"}), client.post(f"{address}/restore")]
    assert [answer.status_code for answer in answers] == [404, 404, 409]
    assert all('was merged into "A00001"' in answer.json()["detail"] for answer in answers)
    assert client.get(address, params={"include_deleted": True}).status_code == 200


def test_what_can_not_be_merged_has_its_status(client):
    """Unknown records are not found, merged ones conflict, nonsense is refused."""
    body = {"kind": "account", "keep_id": "A00001", "other_ids": ["twin"]}
    assert client.post(PATH, json=body | {"other_ids": ["nobody"]}).status_code == 404
    assert client.post(PATH, json=body | {"other_ids": []}).status_code == 422
    assert client.post(PATH, json=body | {"kind": "order"}).status_code == 422
    assert client.post(PATH, json=body).status_code == 201
    assert client.post(PATH, json=body).status_code == 409
    assert client.delete(f"{PATH}/999").status_code == 404


def test_they_need_a_key(client):
    """Nobody merges without one."""
    assert client.post(PATH, json={}, headers={"Authorization": ""}).status_code == 401
    assert client.get("/v1/duplicates/account", headers={"Authorization": ""}).status_code == 401
