from datetime import UTC, datetime

import pytest
from crm_headings import EXPORTS, OTHER_EXPORTS

from forecast.errors import MappingError
from forecast.intake import Mapping, import_files, vocabulary
from forecast.intake.recognition import match_columns, recognise_kind
from forecast.records import RECORD_KINDS


@pytest.mark.parametrize("crm", EXPORTS)
def test_every_heading_of_a_usual_export_finds_its_field(crm):
    """The opportunity exports of the usual CRMs need no mapping: kind and every column are as expected."""
    expected = EXPORTS[crm]
    assert recognise_kind(list(expected), "export.csv") == "opportunity"
    assert match_columns("opportunity", list(expected), Mapping()).columns == expected


@pytest.mark.parametrize("export", OTHER_EXPORTS)
def test_every_heading_of_the_other_exports_finds_its_field(export):
    """Leads, accounts, contacts, activities, histories, orders and quotas of the usual CRMs need no mapping either."""
    kind, expected = OTHER_EXPORTS[export]
    assert recognise_kind(list(expected), f"{export}.csv") == kind
    assert match_columns(kind, list(expected), Mapping()).columns == expected


@pytest.mark.parametrize("kind", RECORD_KINDS)
def test_our_own_column_names_are_known(kind):
    """Every column of every kind is found by its plain name, in any case and with any punctuation."""
    for name in vocabulary.record_columns(kind):
        for heading in (name, name.upper(), name.replace("_", " ").title(), name.replace("_", "-")):
            match = vocabulary.match_heading(kind, heading)
            assert match is not None
            assert match.field == name, heading


def test_synonyms_name_only_fields_that_exist():
    """The data file can't drift from the records: each of its kinds and fields is one of ours."""
    for kind, fields in vocabulary._table()["kinds"].items():  # noqa: SLF001  # the data file itself is what is tested
        assert set(fields) <= set(vocabulary.fields(kind)), kind
    assert set(vocabulary._table()["kinds"]) == set(vocabulary.KINDS)  # noqa: SLF001


@pytest.mark.parametrize(
    ("name", "headings", "kind"),
    [
        ("accounts.csv", "account,sector,year_established,revenue,employees,office_location,subsidiary_of", "account"),
        ("products.csv", "product,series,sales_price", "product"),
        ("sales_teams.csv", "sales_agent,manager,regional_office", "person"),
        (
            "sales_pipeline.csv",
            "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value",
            "opportunity",
        ),
        ("mql.csv", "mql_id,first_contact_date,landing_page_id,origin", "lead"),
        ("x.csv", "opportunity_id,changed_at,stage,user", "change"),
        ("x.csv", "Opportunity ID,Region,Need,Amount,Stage", "opportunity"),
        ("x.csv", "Prospect ID,Lead Source,Country,Converted", "lead"),
        ("x.csv", "OpportunityId,Field,OldValue,NewValue,CreatedDate,CreatedById", "change"),
        ("x.csv", "kind,record_id,field,changed_at,old_value,new_value,person_id", "change"),
        ("activities.csv", "opportunity_id,occurred_at,type,lifecycle,user", "activity"),
        ("orders.csv", "Order ID,Order Date,Customer ID,Order Amount,Currency", "order"),
        ("线索.csv", "线索名称,公司,电话,邮箱,线索来源,线索状态,负责人,创建时间", "lead"),
        (
            "leads.csv",
            "Lead ID,First Name,Company,Email,Lead Status,Lead Source,Lead Owner,Created Date,Converted",
            "lead",
        ),
        ("quota.csv", "Quota Owner,Start Date,Quota Amount", "quota"),
        (
            "x.csv",
            "Deal ID,Deal Name,Customer,Owner,Stage,Status,Created Date,Close Date,Amount,Order Number,Order Date,Invoice Amount",
            "opportunity",
        ),
        ("x.csv", "Order Number,Order Date,Customer,Amount,Sales Rep,Status,Opportunity ID,Opportunity Name", "order"),
        ("x.csv", "商机编号,商机名称,客户名称,负责人,销售阶段,商机金额,订单编号,下单日期,订单金额", "opportunity"),
        ("x.csv", "Quote Number,Quote Date,Opportunity Name,Account Name,Grand Total,Stage,Close Date", "quote"),
    ],
)
def test_the_kind_is_told_by_the_headings(name, headings, kind):
    """Files as people have them say by their headings what they hold."""
    assert recognise_kind(headings.split(","), name) == kind


def test_deals_beside_their_orders_keep_the_fields_of_deals():
    """Total amount and win/loss are the deal's; what is the order's alone becomes custom fields."""
    headings = [
        "Opportunity",
        "Account",
        "Total Amount",
        "Win/Loss",
        "Sales Stage",
        "Expected Close",
        "Order Status",
        "Booking Date",
    ]
    assert recognise_kind(headings, "x.csv") == "opportunity"
    assert list(match_columns("opportunity", headings, Mapping()).columns.values()) == [
        "name",
        "account_id",
        "amount",
        "status",
        "stage",
        "expected_close_on",
        "custom.order_status",
        "custom.booking_date",
    ]


def test_a_table_of_pairs_is_no_table_of_persons():
    """Who sells in which territories, a row a pair, tells nobody's team: one of them would be taken for it."""
    with pytest.raises(MappingError, match="name no kind of record"):
        recognise_kind(["employee_id", "territory_id"], "employee_territories")


def test_a_file_of_no_kind_is_refused_with_the_kinds():
    """The message lists the kinds and how to say which it is."""
    with pytest.raises(MappingError, match="--as, one of account, activity"):
        recognise_kind(["Table", "Field", "Description"], "data_dictionary.csv")


def test_what_is_not_recognised_is_left_out_and_said(engine, write, tmp_path, stored):
    """One unknown file among several stops no other; it is named with the reason and what to do."""
    write("id,outcome\n1,won\n", "a.csv")
    write("x,y\n1,2\n", "b.csv")
    imported = import_files(
        engine, [tmp_path], imported_at=datetime(2024, 6, 1, tzinfo=UTC), rejects_folder=tmp_path / "rejects"
    )
    assert set(stored()) == {"1"}
    assert [(one.name, "--as, one of" in one.reason) for one in imported.left_out] == [("b.csv", True)]


def test_where_nothing_is_recognised_nothing_is_done(engine, write, tmp_path):
    """There is an error, not an empty success."""
    write("x,y\n1,2\n", "b.csv")
    with pytest.raises(MappingError, match=r"b\.csv"):
        import_files(
            engine, [tmp_path], imported_at=datetime(2024, 6, 1, tzinfo=UTC), rejects_folder=tmp_path / "rejects"
        )


def test_of_two_columns_for_one_field_the_more_specific_wins(load):
    """The other becomes a custom field, with a warning."""
    found = load("Opportunity ID,Account Name,Account ID,Outcome\n1,Acme,001,won\n", dry_run=True).mapping
    assert found.columns == {
        "Opportunity ID": "external_id",
        "Account Name": "custom.account_name",
        "Account ID": "account_id",
        "Outcome": "status",
    }


def test_a_column_known_only_at_the_end_stays_out_of_snapshots(load):
    """Last activity and the deal's age become outcome fields; an age without a stage is a person's."""
    of_deals = load("Deal ID,Deal Stage,Age,Last Activity\n1,New,4,2024-01-01\n", dry_run=True).mapping
    assert of_deals.times == {"age": "outcome", "last_activity": "outcome"}
    assert load("id,outcome,age\n1,won,56\n", dry_run=True).mapping.times == {}


def test_a_status_column_of_foreign_words_is_not_the_status(load):
    """Where most words are unknown the column is kept as an outcome field and the stage decides."""
    text = "Deal ID,Status,Stage\n1,Customer,Won\n2,Opportunity,Lost\n3,Qualified,Open\n"
    found = load(text, dry_run=True).mapping
    assert found.columns["Status"] == "custom.status"
    assert found.times == {"status": "outcome"}
