import random
from datetime import UTC, datetime

import polars as pl
import pytest

from forecast.duplicates import find_duplicates, say_evidence
from forecast.duplicates.evidence import COMPARISONS, PRIOR, spelling, weigh_pairs
from forecast.duplicates.pairs import BLOCK_ROWS_MAX, candidate_pairs
from forecast.errors import InputError
from forecast.merging import merge_records, undo_merge
from forecast.records import Account, Contact, Lead
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)


def store(engine, *records):
    """Write records."""
    with unit_of_work(engine) as session:
        session.add_all(records)


def account(record_id, name, **columns):
    """Make an account."""
    return Account(id=record_id, external_id=record_id, name=name, **columns)


def lead(record_id, name, **columns):
    """Make a lead."""
    return Lead(id=record_id, external_id=record_id, name=name, **columns)


def found(engine, kind="account", **options):
    """Find duplicates; give the ids of each pair with its confidence."""
    with unit_of_work(engine) as session:
        pairs = find_duplicates(session, kind, **options)
    return {(row["id"], row["other_id"]): row["confidence"] for row in pairs.iter_rows(named=True)}


def test_accounts_of_one_name_are_proposed(engine):
    """Another legal form and another writing of the name are the same company, the other company is not."""
    store(engine, account("A", "Northgate Ltd"), account("B", "NORTHGATE Limited"), account("C", "Southgate Ltd"))
    assert found(engine).keys() == {("A", "B")}


@pytest.mark.parametrize(
    ("name", "columns", "proposed"),
    [
        ("Northgate Machinary", {"domain": "northgate.com"}, True),
        ("Northgate Machinary", {}, True),
        ("Northgate Machinary", {"domain": "other.com"}, False),
        ("Northgate Machinery", {"domain": "other.com", "phone": "030 7654321"}, False),
        ("Northgate Machinery", {"phone": "+49 30 1234567"}, True),
        ("Totally different", {"domain": "www.northgate.com"}, False),
        ("Totally different", {"domain": "www.northgate.com", "phone": "030/1234567"}, True),
        ("Totally different", {"phone": "030/1234567"}, False),
        ("Northgate Machinery 2", {"domain": "northgate.com"}, False),
    ],
)
def test_evidence_for_and_against_is_weighed(engine, name, columns, proposed):
    """A typing error, a domain, a phone with or without country code speak for, another domain against."""
    given = {"domain": "https://northgate.com", "phone": "(030) 1234567"}
    store(engine, account("A", "Northgate Machinery", **given), account("B", name, **columns))
    assert (("A", "B") in found(engine)) is proposed


def test_what_agrees_more_is_surer(engine):
    """The confidence grows with each thing that agrees, and the evidence names it."""
    store(
        engine,
        *(account(one, "Acme", domain="acme.com", phone="12345678") for one in ("A1", "A2")),
        *(account(one, "Bolt", domain="bolt.com") for one in ("B1", "B2")),
        *(account(one, "Crux") for one in ("C1", "C2")),
    )
    sure = found(engine)
    assert sure["A1", "A2"] > sure["B1", "B2"] > sure["C1", "C2"] > 0.8
    with unit_of_work(engine) as session:
        first = find_duplicates(session, "account").row(0, named=True)
    assert first["evidence"] == ["name:same", "domain:same", "phone:same"]
    assert first["other_name"] == "Acme"


def test_an_account_without_domain_has_that_of_its_contacts(engine):
    """Where the contacts' mail addresses agree, they tell the domain."""
    contacts = [
        Contact(id=one, external_id=one, account_id=of, email=mail)
        for one, of, mail in (
            ("1", "B", "x@acme.com"),
            ("2", "B", "y@acme.com"),
            ("3", "C", "x@acme.com"),
            ("4", "C", "z@b.com"),
        )
    ]
    store(
        engine,
        account("A", "Acme Tools", domain="acme.com"),
        account("B", "Acme Tool"),
        account("C", "Bcme"),
        *contacts,
    )
    assert found(engine, confidence_min=0.7).keys() == {("A", "B")}


def test_leads_are_found_by_mail_phone_and_company(engine):
    """The same person is proposed by any of them; a colleague at the same company is not."""
    store(
        engine,
        lead("1", "Ann Lee", company="Acme Ltd", email="ann@acme.com", status="converted"),
        lead("2", "LEE, Ann", company="ACME", phone="555 0101 22"),
        lead("3", "Bob Ray", company="Acme", email="bob@acme.com"),
        lead("4", "Ann Lee", email="Ann <ann+x@acme.com>"),
        lead("5", "Ann Lee", company="Zeta"),
    )
    assert found(engine, "lead").keys() == {("1", "2"), ("1", "4")}


def test_a_mailbox_of_several_people_tells_nobody(engine):
    """Two persons who write from info@ are not one; their domain still speaks for one company."""
    mails = {"email": "info@acme.com", "company": "Acme"}
    store(engine, lead("1", "Ann Lee", **mails), lead("2", "Bob Ray", **mails), lead("3", "Ann Lee", **mails))
    assert found(engine, "lead").keys() == {("1", "3")}


def test_the_lead_to_keep_is_one_that_is_closed(engine):
    """An outcome is not lost: the converted lead comes first though it is younger by its id."""
    store(engine, lead("1", "Ann Lee", email="a@x.com"), lead("2", "Ann Lee", email="a@x.com", status="converted"))
    assert found(engine, "lead").keys() == {("2", "1")}


def test_connected_records_are_one_group(engine):
    """A group is named by the record to keep, and its pairs follow one another."""
    store(engine, account("B", "Bolt"), *(account(one, "Acme") for one in ("A1", "A2", "A3")), account("C", "bolt"))
    with unit_of_work(engine) as session:
        groups = find_duplicates(session, "account")["group_id"].to_list()
    assert sorted(groups) == ["A1", "A1", "A1", "B"]
    assert groups in (["A1", "A1", "A1", "B"], ["B", "A1", "A1", "A1"])


def test_deleted_records_are_not_proposed(engine):
    """A merged record is a tombstone, and is not found again."""
    store(engine, account("A", "Acme"), account("B", "acme"))
    with unit_of_work(engine) as session:
        (merge,) = merge_records(session, "account", keep_id="A", other_ids=["B"], by="t", at=NOW)
    assert found(engine) == {}
    with unit_of_work(engine) as session:
        undo_merge(session, merge.id, by="t", at=NOW)
    assert found(engine) == {}, "a merge that was undone is not proposed again"


def test_other_kinds_are_refused(engine):
    """The message names the kinds that can be looked at."""
    with unit_of_work(engine) as session, pytest.raises(InputError, match="account, lead"):
        find_duplicates(session, "opportunity")


def test_an_empty_database_has_no_duplicates(engine):
    """No records is an answer of its own."""
    assert found(engine) == {}
    assert found(engine, "lead") == {}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("northgate", "nothgate", "close"),
        ("northgate", "nrothgate", "close"),
        ("northgate", "northgqte", "close"),
        ("northgatex", "northgate", "close"),
        ("northgate1", "northgate2", "differs"),
        ("云峰机械", "云达机械", "differs"),
        ("深圳安远新材料", "深圳华远新材料", "similar"),
        ("northgatemachines", "northgatemachining", "similar"),
        ("a", "b", "differs"),
    ],
)
def test_spelling(one, other, expected):
    """One letter in long names is close, in Chinese ones similar; digits and short names count in full."""
    assert spelling(one, other) == spelling(other, one) == expected


def one_edit(generator, name):
    """Change, add, leave out or swap one letter."""
    place, letter = generator.randrange(len(name) - 1), generator.choice("abcdefgh")
    return generator.choice(
        [
            name[:place] + letter + name[place + 1 :],
            name[:place] + letter + name[place:],
            name[:place] + name[place + 1 :],
            name[:place] + name[place + 1] + name[place] + name[place + 2 :],
        ]
    )


@pytest.mark.parametrize("seed", range(5))
def test_blocking_misses_no_name_that_differs_by_one_letter(seed):
    """Whatever the letter and its place, both names become candidates, like those of equal keys."""
    generator = random.Random(seed)
    names = ["".join(generator.choices("abcdefghijklm", k=generator.randint(8, 20))) for _ in range(100)]
    spoilt = [one_edit(generator, name) for name in names]
    records = pl.DataFrame({"row": range(200), "name": names + spoilt, "phone": [str(n % 100) for n in range(200)]})
    by_name = set(candidate_pairs(records, blocks=[], spelled="name").rows())
    assert {(place, place + 100) for place in range(100) if names[place] != spoilt[place]} <= by_name
    assert {(place, place + 100) for place in range(100)} <= set(
        candidate_pairs(records, blocks=["phone"], spelled="name").rows()
    )


def test_a_key_that_many_share_costs_no_square():
    """In a large block each is paired with the next only, and weighs less the more share it."""
    many = BLOCK_ROWS_MAX + 1
    records = pl.DataFrame(
        {"row": range(many), "name": ["acme"] * many, "domain": [None] * many, "phone": [None] * many}
    )
    records = records.cast({"domain": pl.String, "phone": pl.String})
    pairs = candidate_pairs(records, blocks=["name"], spelled="name").sort("left")
    assert pairs.height == many - 1
    confidence = weigh_pairs(pairs, records, COMPARISONS["account"])["confidence"]
    few = weigh_pairs(pairs.head(1), records.head(2), COMPARISONS["account"])["confidence"]
    assert confidence.max() < few.item() == pytest.approx(1 / (1 + 2.718281828 ** -(PRIOR + 5.5)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_piece_of_evidence_can_be_said(language):
    """Each result of each comparison has its words."""
    for comparisons in COMPARISONS.values():
        for comparison in comparisons:
            results = ("same", "differs", *(("close", "similar") if comparison.close else ()))
            assert all(say_evidence(f"{comparison.field}:{result}", language) for result in results)
