from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecast.errors import MappingError
from forecast.intake import Mapping, import_files
from forecast.records import Account, Activity, CustomField, ImportRun, Lead, Opportunity, Stage
from forecast.store import unit_of_work

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)

PIPELINE = """Opportunity ID,Opportunity Name,Account Name,Opportunity Owner,Stage,Amount,Close Date,Created Date,Competitor,Seats
1,Big one,Acme,Ann,Negotiation,"1,000.50",2024-07-01,2024-01-05,Globex,5
2,Old one,Beta,Bob,Closed Won,200.00,2024-03-01,2024-01-06,,7
3,Lost one,Acme,Ann,Closed Lost,300.00,2024-02-29,2024-01-07,Globex,
"""


def test_an_export_becomes_records(load, stored, engine):
    """Ids, references by name, money, dates, status and custom fields land where they belong, in their types."""
    report = load(PIPELINE)
    assert (report.kind, report.read, report.new) == ("opportunity", 3, 3)
    assert report.custom_fields == {"competitor": "category", "seats": "number"}
    found = stored()
    assert found["1"].account_id == "Acme"
    assert found["1"].owner_id == "Ann"
    assert found["1"].amount == Decimal("1000.50")
    assert found["1"].created_at == datetime(2024, 1, 5, tzinfo=UTC)
    assert found["1"].custom == {"competitor": "Globex", "seats": 5}
    assert found["2"].custom == {"seats": 7}
    assert found["1"].stored_at == NOW
    assert [(one.status, one.closed_at and one.closed_at.date(), one.expected_close_on) for one in found.values()] == [
        ("open", None, date(2024, 7, 1)),
        ("won", date(2024, 3, 1), None),
        ("lost", date(2024, 2, 29), None),
    ]
    with unit_of_work(engine) as session:
        fields = {
            field.name: (field.type, field.time, field.label) for field in session.scalars(sa.select(CustomField))
        }
    assert fields == {"competitor": ("category", "tracked", "Competitor"), "seats": ("number", "tracked", "Seats")}


def test_importing_twice_changes_nothing(load, stored, changes):
    """The same file again is neither new nor changed."""
    load(PIPELINE)
    before = {id_: (one.version, one.stored_at, one.custom) for id_, one in stored().items()}
    report = load(PIPELINE, imported_at=LATER)
    assert (report.new, report.changed, report.unchanged, report.changes) == (0, 0, 3, 0)
    assert {id_: (one.version, one.stored_at, one.custom) for id_, one in stored().items()} == before
    assert changes() == []


def test_a_change_of_a_tracked_field_is_recorded(load, stored, changes):
    """One change row for each tracked field that differs or that closing might have overwritten, none for the outcome."""
    load(PIPELINE)
    closed = PIPELINE.replace('Negotiation,"1,000.50",2024-07-01', "Closed Won,900,2024-05-30").replace(
        "Globex,5", "Initech,5"
    )
    report = load(closed, imported_at=LATER)
    assert (report.new, report.changed, report.unchanged) == (0, 1, 2)
    assert [
        (one.record_id, one.field, one.old_value, one.new_value, one.changed_at, one.origin) for one in changes()
    ] == [
        ("1", "stage", "Negotiation", "Closed Won", LATER, "import"),
        ("1", "amount", "1000.50", "900.00", LATER, "import"),
        ("1", "expected_close_on", "2024-07-01", "2024-07-01", LATER, "import"),
        ("1", "custom.competitor", "Globex", "Initech", LATER, "import"),
    ]
    assert report.changes == 4
    one = stored()["1"]
    assert (one.status, one.version, one.custom["competitor"]) == ("won", 2, "Initech")
    assert one.expected_close_on == date(2024, 7, 1)


def test_a_change_is_dated_by_the_last_modification(load, changes):
    """modified_at dates a change where it moved on, else the import does."""
    text = "id,outcome,stage,modified_at\n1,,{},{}\n"
    load(text.format("A", "2024-01-01"))
    load(text.format("B", "2024-02-01"), imported_at=LATER)
    load(text.format("C", "2024-02-01"), imported_at=LATER)
    assert [(one.new_value, one.changed_at) for one in changes()] == [
        ("B", datetime(2024, 2, 1, tzinfo=UTC)),
        ("C", LATER),
    ]


def test_a_column_that_the_file_lacks_is_left_and_an_empty_cell_clears(load, stored):
    """What a file does not speak of stays; what it leaves empty goes, custom fields too."""
    load("id,outcome,amount,next_step,Competitor,Seats\n1,won,5,call,Globex,3\n")
    load("id,outcome,amount,Competitor\n1,won,,\n")
    one = stored()["1"]
    assert (one.amount, one.next_step, one.custom) == (None, "call", {"seats": 3})


def test_rows_of_one_id_apply_in_order(load, stored, changes):
    """The last one stands, each difference is recorded, and the file read again changes nothing."""
    text = "id,outcome,stage\n1,,A\n1,,B\n2,,A\n1,,A\n1,,B\n"
    report = load(text)
    assert (report.new, report.changed, report.unchanged) == (2, 3, 0)
    assert [(one.old_value, one.new_value) for one in changes()] == [("A", "B"), ("B", "A"), ("A", "B")]
    moments = [one.changed_at for one in changes()]
    assert all(earlier < later for earlier, later in pairwise(moments))
    assert stored()["1"].stage == "B"
    again = load(text, imported_at=LATER)
    assert (again.new, again.changed, again.unchanged) == (0, 0, 5)


def test_a_fixed_field_that_differs_is_updated_with_a_warning(load, stored, changes):
    """A source is held to be fixed: the new one is stored, counted and said, without a change row."""
    load("id,outcome,source\n1,,Web\n2,,Web\n")
    report = load("id,outcome,source\n1,,Phone\n2,,Web\n")
    assert report.changed == 1
    assert any(warning.startswith("1 rows differ in a field that is held to be fixed") for warning in report.warnings)
    assert stored()["1"].source == "Phone"
    assert changes() == []


def test_ids_of_another_source_carry_its_name(load, stored):
    """The record and what it refers to get the same prefix; the id there is kept."""
    load("id,outcome,account_id,owner\n1,won,9,Ann\n", source_system="sf")
    one = stored()["sf:1"]
    assert (one.external_id, one.source_system, one.account_id, one.owner_id) == ("1", "sf", "sf:9", "sf:Ann")


def test_rows_without_an_id_column_get_stable_ids(load, stored):
    """Equal rows are different records, and the same file gives the same ids."""
    text = "opportunity_id,occurred_at,type\n1,2024-01-01,call\n1,2024-01-01,call\n2,2024-01-01,call\n"
    assert load(text, "activities.csv").new == 3
    ids = set(stored(Activity))
    assert load(text, "activities.csv").unchanged == 3
    assert set(stored(Activity)) == ids


def test_an_account_known_by_name_has_its_name_as_id(load, stored):
    """So that an opportunity of the account finds it."""
    load("account,sector,revenue,subsidiary_of\nAcme,retail,5.5,Globex\n", "accounts.csv")
    assert stored(Account)["Acme"].parent_id == "Globex"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("id,IsClosed,IsWon,StageName\n1,true,true,X\n", "won"),
        ("id,IsClosed,IsWon,StageName\n1,true,false,X\n", "lost"),
        ("id,IsClosed,IsWon,StageName\n1,false,false,X\n", "open"),
        ("id,stage,outcome\n1,Closed Won,\n", "won"),
        ("id,stage,outcome\n1,Closed Won,lost\n", "lost"),
        ("id,Deal - Won time,Deal - Lost time\n1,2024-01-01 10:00,\n", "won"),
        ("id,Deal - Won time,Deal - Lost time\n1,,2024-01-01 10:00\n", "lost"),
        ("id,Expected Revenue,Stage,Active\n1,5,New,False\n", "lost"),
        ("商机编号,阶段状态\n1,赢单\n", "won"),
        ("商机编号,阶段状态\n1,输单\n", "lost"),
        ("商机编号,阶段状态\n1,进行中\n", "open"),
        ("商机编号,赢单状态\n1,已赢单\n", "won"),
        ("商机编号,赢单/输单\n1,输单\n", "lost"),
        ("项目名称,是否成交,业务员\n甲,是,张三\n", "won"),
        ("id,outcome\n1,Approved\n", "won"),
    ],
)
def test_the_status_is_decided_by_what_the_file_says(load, stored, text, status):
    """Flags, words, moments and closed stages in English and Chinese, in this order."""
    load(text, kind="opportunity")
    assert [one.status for one in stored().values()] == [status]


def test_closed_without_a_word_on_how_is_refused(load):
    """A closed flag alone does not say won or lost."""
    report = load("id,Closed,Stage\n1,true,Negotiation\n2,true,Closed Won\n3,false,New\n", kind="opportunity")
    assert (report.new, report.rejected) == (2, 1)


def test_a_no_is_lost_and_said(load, stored):
    """否 under 是否成交 is read as lost with a warning; the mapping can say otherwise."""
    text = "商机编号,是否成交\n1,否\n2,是\n"
    assert any("否" in warning for warning in load(text).warnings)
    assert stored()["1"].status == "lost"
    load(text, mapping=Mapping(values={"status": {"否": "open"}}))
    assert stored()["1"].status == "open"


def test_an_open_record_has_no_close_moment(load, stored):
    """It is left out and counted in a warning."""
    report = load("id,outcome,closed_at\n1,,2024-01-01\n2,won,2024-01-01\n")
    assert any(warning.startswith("1 rows are open") for warning in report.warnings)
    assert [one.closed_at is None for one in stored().values()] == [True, False]


def test_a_file_without_any_word_on_the_end_leaves_the_status(load, stored):
    """A partial file does not reopen what is closed, nor touch when it closed."""
    load("id,outcome,closed_at\n1,won,2024-01-01\n")
    load("opportunity_id,amount\n1,7\n", kind="opportunity")
    one = stored()["1"]
    assert (one.status, one.amount, one.closed_at) == ("won", 7, datetime(2024, 1, 1, tzinfo=UTC))


def test_leads_are_converted_or_disqualified(load, stored):
    """Their words and flags decide their status."""
    load(
        "Lead ID,Lead Status,Converted,Converted Date,Company\n1,Working - Contacted,false,,A\n2,Qualified,true,2024-01-02,B\n3,Unqualified,false,,C\n",
        "leads.csv",
    )
    assert [one.status for one in stored(Lead).values()] == ["open", "converted", "disqualified"]
    assert stored(Lead)["2"].closed_at == datetime(2024, 1, 2, tzinfo=UTC)


def test_a_chinese_sheet_needs_no_mapping(load, stored):
    """Amounts in 万元, Chinese dates in the company's zone, percentages and words; custom names stay Chinese."""
    report = load(
        "客户,项目名称,预计金额(万元),预计签约时间,跟进阶段,成交概率,是否成交,成交日期,业务员,行业\n"
        "甲公司,一期,12.5,2024年7月1日,谈判,60%,,,张三,制造\n"
        "乙公司,二期,3,2024年2月29日,成交,100%,是,2024年2月29日,李四,零售\n",
        "项目.csv",
        timezone="Asia/Shanghai",
    )
    assert (report.kind, report.new, report.rejected) == ("opportunity", 2, 0)
    first, second = sorted(stored().values(), key=lambda one: one.name)
    assert (first.amount, first.seller_probability, first.expected_close_on) == (125_000, 0.6, date(2024, 7, 1))
    assert (second.status, second.closed_at) == ("won", datetime(2024, 2, 28, 16, tzinfo=UTC))
    assert first.custom == {"行业": "制造"}


def test_constants_and_words_of_a_mapping_fill_fields(load, stored):
    """A constant stands in every row; an empty word lets the stage decide."""
    mapping = Mapping(
        columns={"State": "status", "split": "ignore"},
        constants={"currency": "EUR", "custom.origin_file": "spring"},
        values={"status": {"Customer": "won", "Opportunity": ""}},
    )
    report = load("id,State,Stage,split\n1,Customer,x,1\n2,Opportunity,Lost,1\n", mapping=mapping, kind="opportunity")
    assert report.ignored_columns == ("split",)
    assert [(one.status, one.currency, one.custom) for one in stored().values()] == [
        ("won", "EUR", {"origin_file": "spring"}),
        ("lost", "EUR", {"origin_file": "spring"}),
    ]


def test_a_constant_that_can_not_be_read_is_refused(load):
    """It would reject every row."""
    with pytest.raises(MappingError, match="the constant amount"):
        load("id,outcome\n1,won\n", mapping=Mapping(constants={"amount": "much"}))


def test_fields_without_which_a_record_is_none_are_asked_for(load, stored):
    """A stage needs its kind and place; an empty pipeline is the default one."""
    with pytest.raises(MappingError, match="needs position, kind"):
        load("stage,pipeline\nNew,\n", "stages.csv", kind="stage")
    load("stage,pipeline,position,kind\nNew,,1,open\nWon,,2,won\n", "stages.csv", kind="stage")
    assert {(one.name, one.kind, one.pipeline_id) for one in stored(Stage).values()} == {
        ("New", "open", "default"),
        ("Won", "won", "default"),
    }


def test_a_dry_run_stores_nothing_and_reports_the_same(load, stored, engine, tmp_path):
    """The report is that of the real import, without a rejects file."""
    text = PIPELINE + "4,,,,,much,,,,\n"
    dry = load(text, dry_run=True)
    assert dry.dry_run
    assert stored() == {}
    assert not (tmp_path / "rejects").exists()
    with unit_of_work(engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ImportRun)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(CustomField)) == 0
    real = load(text)
    assert (dry.read, dry.new, dry.rejected, dry.custom_fields) == (
        real.read,
        real.new,
        real.rejected,
        real.custom_fields,
    )


def test_a_file_of_headings_only_is_an_answer(load):
    """Zero rows and a warning, not an error."""
    report = load("id,outcome,amount\n")
    assert report.read == 0
    assert "the file has headings and no row" in report.warnings


def test_an_import_is_written_down(load, engine):
    """The run keeps the file, its digest, the mapping and the counts."""
    report = load(PIPELINE)
    with unit_of_work(engine) as session:
        run = session.scalars(sa.select(ImportRun)).one()
    assert (run.file, run.kind, run.started_at) == (str(report.file), "opportunity", NOW)
    assert run.counts == {"read": 3, "new": 3, "changed": 0, "unchanged": 0, "rejected": 0, "changes": 0}
    assert run.mapping["columns"]["Stage"] == "stage"
    assert len(run.sha256) == 64


def test_deleted_records_keep_the_moment_first_seen(load, stored):
    """IsDeleted is dated by the last change or the import, and not moved by the next import."""
    text = "id,outcome,IsDeleted\n1,won,true\n2,won,false\n"
    load(text)
    assert load(text, imported_at=LATER).unchanged == 2
    assert [one.deleted_at for one in stored().values()] == [NOW, None]


def test_two_imports_at_once_are_one_after_the_other(load, write, stored):
    """Neither fails, and every record is there once."""
    texts = ["id,outcome,stage\n" + "".join(f"{number},,{stage}\n" for number in range(500)) for stage in "AB"]
    paths = [write(text, f"{number}.csv") for number, text in enumerate(texts)]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(load, paths))
    assert sorted(report.new for report in reports) == [0, 500]
    assert sorted(report.changed for report in reports) == [0, 500]
    assert len(stored()) == 500


BROKEN = st.sampled_from(
    [
        "",
        "5",
        "1,5",
        "abc",
        "2024-01-01",
        "30/02/2024",
        "won",
        "maybe",
        "x" * 300,
        'say "hi"',
        "a\nb",
        "否",
        " ",
        "1e999",
        "\x00",
    ]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[BROKEN] * 6, st.integers(5, 8)), min_size=1, max_size=15))
def test_each_row_is_one_record_or_one_reject(engine, tmp_path, rows):
    """Whatever stands in the cells, the counts add up and agree with what is stored and what is written out."""
    import csv

    path = tmp_path / "random.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "outcome", "amount", "created_at", "stage", "Competitor", "owner"])
        writer.writerows(
            [f"r{number}", *cells[:-1]][: cells[-1]] + ["extra"] * (cells[-1] == 8) for number, cells in enumerate(rows)
        )
    with unit_of_work(engine) as session:
        session.execute(sa.delete(Opportunity))
        session.execute(sa.delete(CustomField))
    (report,) = import_files(engine, [path], imported_at=NOW, rejects_folder=tmp_path / "rejects").reports
    assert report.read == len(rows) == report.new + report.rejected
    with unit_of_work(engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Opportunity)) == report.new
    written = []
    if report.rejects:
        with report.rejects.open(newline="", encoding="utf-8-sig") as file:
            written = list(csv.DictReader(file))
    assert len(written) == report.rejected
    assert all(row["reject_reason"] and row["reject_remedy"] for row in written)
    (again,) = import_files(engine, [path], imported_at=LATER, rejects_folder=tmp_path / "rejects").reports
    assert (again.new, again.changed, again.unchanged) == (0, 0, report.new)
