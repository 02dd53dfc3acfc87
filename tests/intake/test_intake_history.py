from datetime import UTC, datetime

import pytest

from forecast.errors import MappingError
from forecast.records import Opportunity


def test_stage_changes_become_history_in_order(load, changes):
    """A file of stages and moments is history of the opportunity's stage; reading it twice adds nothing."""
    text = (
        "opportunity_id,changed_at,stage,user\n1,2024-01-01 10:00:00,New,Ann\n1,2024-01-02,Won,\n1,2024-01-02,Closed,\n"
    )
    report = load(text, "stage_changes.csv")
    assert (report.kind, report.read, report.new, report.changes) == ("change", 3, 3, 3)
    assert [
        (one.kind, one.record_id, one.field, one.old_value, one.new_value, one.person_id, one.origin)
        for one in changes()
    ] == [
        ("opportunity", "1", "stage", None, "New", "Ann", "history"),
        ("opportunity", "1", "stage", None, "Won", None, "history"),
        ("opportunity", "1", "stage", None, "Closed", None, "history"),
    ]
    assert load(text, "stage_changes.csv").unchanged == 3


def test_the_field_history_of_salesforce_is_read(load, changes):
    """Its field names become ours, its values are written as the database writes them."""
    load(
        "OpportunityId,Field,OldValue,NewValue,CreatedDate,CreatedById\n"
        "006,StageName,New,Proposal,2024-01-02T10:00:00.000+0000,005\n"
        '006,Amount,,"1,250.5",2024-01-03T10:00:00.000+0000,005\n'
        "006,CloseDate,2024-01-05,2024-02-29,2024-01-04T10:00:00.000+0000,005\n"
        "006,Owner,Ann,Bob,2024-01-05T10:00:00.000+0000,005\n"
        "006,Probability,20,50,2024-01-06T10:00:00.000+0000,005\n"
        "006,Competitor__c,,Globex,2024-01-07T10:00:00.000+0000,005\n",
        source_system="sf",
    )
    assert [(one.record_id, one.field, one.old_value, one.new_value) for one in changes()] == [
        ("sf:006", "stage", "New", "Proposal"),
        ("sf:006", "amount", None, "1250.50"),
        ("sf:006", "expected_close_on", "2024-01-05", "2024-02-29"),
        ("sf:006", "owner_id", "sf:Ann", "sf:Bob"),
        ("sf:006", "seller_probability", "0.2", "0.5"),
        ("sf:006", "custom.competitor", None, "Globex"),
    ]
    assert changes()[0].changed_at == datetime(2024, 1, 2, 10, tzinfo=UTC)
    assert changes()[0].person_id == "sf:005"


def test_our_own_form_names_the_kind(load, changes):
    """Any kind and field, with old and new values."""
    load(
        "kind,record_id,field,changed_at,old_value,new_value,person_id\naccount,Acme,industry,2024-01-01,,retail,Ann\n"
    )
    assert [(one.kind, one.record_id, one.field, one.new_value) for one in changes()] == [
        ("account", "Acme", "industry", "retail")
    ]


@pytest.mark.parametrize(
    "row",
    [
        "person_of_interest,1,stage,2024-01-01,,A",
        "opportunity,,stage,2024-01-01,,A",
        "opportunity,1,stage,,,A",
        "opportunity,1,,2024-01-01,,A",
        "opportunity,1,amount,2024-01-01,,much",
        "opportunity,1,stage,2023-02-29,,A",
    ],
)
def test_a_change_that_does_not_say_what_when_is_refused(load, changes, row):
    """No change without kind, record, field and moment, or with a value that its field can't hold."""
    report = load(f"kind,record_id,field,changed_at,old_value,new_value\n{row}\naccount,A,name,2024-01-01,,B\n")
    assert (report.new, report.rejected) == (1, 1)
    assert len(changes()) == 1


def test_history_and_import_agree_on_how_values_are_written(load, changes, stored):
    """The text of a change by history equals that of the same change found by two imports, for each type of field."""
    values = {
        "amount": ("10", "1250.5"),
        "expected_close_on": ("2024-01-05", "2024-02-29"),
        "seller_probability": ("0.2", "0.55"),
        "need_fit": ("1", "5"),
        "stage": ("A", "B"),
    }
    head = ",".join(values)
    for side in (0, 1):
        load(f"id,outcome,{head}\n1,,{','.join(pair[side] for pair in values.values())}\n")
    by_import = {(one.field, one.old_value, one.new_value) for one in changes()}
    rows = "".join(f"opportunity,1,{field},2024-01-01,{old},{new}\n" for field, (old, new) in values.items())
    load(f"kind,record_id,field,changed_at,old_value,new_value\n{rows}")
    by_history = {(one.field, one.old_value, one.new_value) for one in changes() if one.origin == "history"}
    assert by_history == by_import
    assert stored(Opportunity)["1"].need_fit == 5


def test_a_history_says_what_changed(load):
    """A file of changes without a column of fields or stages is refused: nobody knows what changed."""
    with pytest.raises(MappingError, match="a file of kind change needs field"):
        load("Deal ID,Change Date,Note\nD1,2026-02-01,x\n", "history.csv", kind="change")
