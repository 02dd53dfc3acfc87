"""Versions of records: what is replaced, what is stale, and who wins."""

import threading

import pytest

PATH = "/v1/records/opportunity"


def test_put_creates_or_replaces(api):
    """What is not sent is emptied, apart from the creation."""
    first = api.put(f"{PATH}/1", json={"name": "a", "stage": "New", "created_at": "2026-01-01", "custom": {"score": 1}})
    assert (first.status_code, first.headers["ETag"]) == (201, '"1"')
    second = api.put(f"{PATH}/1", json={"name": "b"}, headers={"If-Match": '"1"'})
    assert (second.status_code, second.headers["ETag"]) == (200, '"2"')
    found = second.json()
    assert (found["name"], found["stage"], found["custom"]) == ("b", None, {})
    assert found["created_at"] == "2026-01-01T00:00:00Z"


def test_put_over_a_record_needs_its_version(api):
    """Who replaces a record says which one they saw, or that they don't mind."""
    api.put(f"{PATH}/1", json={"name": "a"})
    assert api.put(f"{PATH}/1", json={"name": "b"}).status_code == 428
    assert api.put(f"{PATH}/1", json={"name": "b"}, headers={"If-Match": "*"}).status_code == 200
    assert api.put(f"{PATH}/1", json={"name": "c"}, headers={"If-None-Match": "*"}).status_code == 412
    assert api.put(f"{PATH}/2", json={"name": "c"}, headers={"If-None-Match": "*"}).status_code == 201
    assert api.put(f"{PATH}/3", json={"name": "c"}, headers={"If-Match": "*"}).status_code == 412


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_stale_version_is_refused(api, method):
    """A write for another version changes nothing, and says which one is stored."""
    api.post(PATH, json={"id": "1", "name": "a"})
    api.patch(f"{PATH}/1", json={"name": "b"})
    body = {} if method == "DELETE" else {"json": {"name": "c"}}
    answer = api.request(method, f"{PATH}/1", headers={"If-Match": '"1"'}, **body)
    assert answer.status_code == 412
    assert "version 2" in answer.json()["detail"]
    assert api.get(f"{PATH}/1").json()["name"] == "b"
    assert api.request(method, f"{PATH}/1", headers={"If-Match": '"1", "2"'}, **body).status_code in {200, 204}


def test_a_version_in_the_body_counts_too(api):
    """A record that is sent back as it was read is refused when another was stored meanwhile."""
    read = api.post(PATH, json={"id": "1", "name": "a"}).json()
    assert api.patch(f"{PATH}/1", json={**read, "name": "b"}).status_code == 200
    assert api.patch(f"{PATH}/1", json={**read, "name": "c"}).status_code == 412
    assert api.patch(f"{PATH}/1", json={"stored_at": "2020-01-01"}).status_code == 422
    assert api.patch(f"{PATH}/1", json={"deleted_at": "2020-01-01"}).status_code == 422


def test_of_two_writers_one_wins(api):
    """Many who saw the same version and write at once: one is stored, the others are told."""
    api.post(PATH, json={"id": "1", "name": "a"})
    statuses = []

    def write(name):
        statuses.append(api.patch(f"{PATH}/1", json={"name": name}, headers={"If-Match": '"1"'}).status_code)

    threads = [threading.Thread(target=write, args=(f"n{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[412] * 5]
    assert api.get(f"{PATH}/1").json()["version"] == 2


def test_an_unchanged_record_is_not_sent_again(api):
    """304 with If-None-Match as long as it is the same version."""
    tag = api.post(PATH, json={"id": "1"}).headers["ETag"]
    same = api.get(f"{PATH}/1", headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert api.get(f"{PATH}/1", headers={"If-None-Match": f'W/{tag}, "9"'}).status_code == 304
    api.patch(f"{PATH}/1", json={"name": "b"})
    assert api.get(f"{PATH}/1", headers={"If-None-Match": tag}).status_code == 200
