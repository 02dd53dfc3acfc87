"""Folders and dumps of several tables, and the mapping that the tool makes of them."""

import pytest
import sqlalchemy as sa
from clock import NOW
from sqlalchemy.orm import Session

from forecast.errors import FileError
from forecast.intake import import_files, read_mapping, write_mapping
from forecast.intake.sqldumps import unpack_dump
from forecast.records import Account, Opportunity, Person

PEOPLE = (
    "e1.jpg|1|18|144178|Guy|Gilbert|2006-01-28|guy@x.com\ne2.jpg|2|7|253022|Kevin|Brown|2006-08-26|kevin@x.com\n" * 2
)


@pytest.fixture
def load_folder(engine, tmp_path):
    """Import a folder; give what became of its tables."""

    def loaded(folder=None, **options):
        given = {"imported_at": NOW, "rejects_folder": tmp_path / "rejects", **options}
        return import_files(engine, [folder or tmp_path], **given)

    return loaded


def count(engine, table):
    """Count the records of a table."""
    with Session(engine) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table))


def test_a_file_without_headings_has_numbered_columns(engine, write, load_folder):
    """Its first row is a record; the mapping that is made of it can be filled in, and then every row is read."""
    write("id,outcome\n1,won\n", "deals.csv")
    path = write(PEOPLE, "people.csv")
    imported = load_folder()
    assert [one.name for one in imported.left_out] == ["people.csv"]
    mapping = path.with_name("m.toml")
    write_mapping(imported.mapping, mapping)
    text = mapping.read_text("utf-8").replace('kind = "ignore"', 'kind = "person"')
    mapping.write_text(text.replace('"column_2" = "ignore"', '"column_2" = "external_id"'), "utf-8")
    again = load_folder(mapping=read_mapping(mapping))
    assert {report.kind: report.read for report in again.reports} == {"opportunity": 1, "person": 4}
    assert count(engine, Person) == 2


def test_dates_of_a_file_follow_those_of_the_others(write, load_folder, engine):
    """Files of one import are written alike: where one tells the order of days and months, the others have it, and say so."""
    write("id,outcome,created_at\n1,won,03/04/2024\n2,lost,01/01/2024\n", "deals.csv")
    write("Account Name,Industry,Created Date\nAcme,Steel,03/25/2024\n", "accounts.csv")
    accounts, deals = load_folder().reports
    assert accounts.warnings == ()
    assert "read month first, as those of accounts.csv" in " ".join(deals.warnings)
    assert deals.mapping.date_order == "mdy"
    with Session(engine) as session:
        assert session.get_one(Opportunity, "1").created_at.month == 3


def test_a_file_that_tells_its_own_dates_keeps_them(write, load_folder):
    """Another file's order is only for dates that leave theirs open, and for none where files differ."""
    write("id,outcome,created_at\n1,won,03/04/2024\n", "deals.csv")
    write("Account Name,Industry,Created Date\nAcme,Steel,03/25/2024\n", "accounts.csv")
    write("Order ID,Customer,Order Date,Amount\n7,Acme,25/03/2024,5\n", "orders.csv")
    _, deals, orders = load_folder().reports
    assert "read day first" in " ".join(deals.warnings)
    assert (orders.new, orders.rejected) == (1, 0)


def test_a_mapping_of_a_folder_reads_it_the_same_way(write, tmp_path, load_folder):
    """What is saved of several tables has a part for each; with it, nothing changes."""
    write("id,outcome,hue\n1,won,red\n", "deals.csv")
    write("Account Name,Industry\nAcme,Steel\n", "accounts.csv")
    write("x,y\n1,2\n", "other.csv")
    first = load_folder()
    write_mapping(first.mapping, tmp_path / "m.toml")
    mapping = read_mapping(tmp_path / "m.toml")
    assert set(mapping.tables) == {"deals.csv", "accounts.csv", "other.csv"}
    second = load_folder(mapping=mapping)
    assert [report.unchanged for report in second.reports] == [1, 1]
    assert second.left_out == ()


DUMP = """-- a dump; it's made by hand
CREATE TABLE public.customers (
    customer_id character varying(5) NOT NULL,
    company_name character varying(40) NOT NULL,
    amount numeric(10,2) DEFAULT 0,
    PRIMARY KEY (customer_id)
);
INSERT INTO customers VALUES ('A1', 'L''Été; Ltd', 1.5);
INSERT INTO public.customers (company_name, customer_id) VALUES ('Two
lines', 'A2'), ('C:\\', 'A3'), (upper('x,y'), 'A4'), (NULL, 'A5');
COPY public.deals (id, outcome, next_step) FROM stdin;
1\twon\ta\\tb
2\t\\N\tit's; fine
\\.
INSERT INTO customers VALUES ('A6', '''; DROP TABLE opportunity; --', DEFAULT);
"""


def test_a_dump_is_read_statement_by_statement(tmp_path):
    """INSERT and COPY, quotes, line breaks, semicolons, calls and NULL; each row in the order of its table's columns."""
    path = tmp_path / "d.sql"
    path.write_text(DUMP, "utf-8", newline="")
    found = {table: file.read_text("utf-8") for table, file in unpack_dump(path, tmp_path).items()}
    assert found["customers"] == (
        "customer_id,company_name,amount\nA1,L'Été; Ltd,1.5\n"
        'A2,"Two\nlines",\nA3,C:\\,\nA4,"upper(\'x,y\')",\nA5,,\n'
        "A6,'; DROP TABLE opportunity; --,\n"
    )
    assert found["deals"] == "id,outcome,next_step\n1,won,a\tb\n2,,it's; fine\n"


def test_a_dump_of_mysql_knows_its_backslashes(tmp_path):
    """Where names stand in backticks, a backslash in a text is a mark."""
    path = tmp_path / "d.sql"
    path.write_text("INSERT INTO `deals` (`id`, `name`) VALUES (1,'it\\'s; \\\\'),(2,'a\\nb');\n", "utf-8")
    found = unpack_dump(path, tmp_path)
    assert found["deals"].read_text("utf-8") == 'id,name\n1,it\'s; \\\n2,"a\nb"\n'


def test_the_tables_of_a_dump_are_tables(tmp_path, load_folder, stored):
    """Each is recognised by itself, and what is no record is said."""
    (tmp_path / "d.sql").write_text(DUMP + "INSERT INTO regions (a, b) VALUES (1, 2);\n", "utf-8", newline="")
    imported = load_folder()
    assert {report.part: report.new for report in imported.reports} == {"customers": 6, "deals": 2}
    assert [one.name for one in imported.left_out] == ["d.sql: regions"]
    assert stored()["1"].next_step == "a\tb"
    assert "'; DROP TABLE opportunity; --" in {account.name for account in stored(Account).values()}


def test_a_dump_that_is_cut_short_is_refused(tmp_path, load_folder):
    """It would lose rows without a word."""
    (tmp_path / "d.sql").write_text("INSERT INTO deals (id, outcome) VALUES (1, 'won'), (2, 'lo", "utf-8")
    with pytest.raises(FileError, match="cut short"):
        load_folder()


MIXED = "id,Status,close\n" + "".join(
    f"{place},{word},2024-01-01\n"
    for place, word in enumerate(["Customer", "Churned", "Lead In", "Customer", "Qualified"])
)


def test_words_that_may_decide_are_not_acted_upon_unasked(write, load_folder, stored):
    """They are listed with what they may mean, the most frequent first, and every record stays open."""
    write(MIXED, "deals.csv")
    (report,) = load_folder(kind="opportunity").reports
    assert [(word.word, word.count, word.status) for word in report.uncertain] == [
        ("Customer", 2, "won"),
        ("Churned", 1, "lost"),
        ("Lead In", 1, "open"),
        ("Qualified", 1, "open"),
    ]
    assert {one.status for one in stored().values()} == {"open"}


def test_confirmed_words_decide(write, load_folder, stored):
    """Whoever is asked sees the report before anything is stored, and the answer holds for the import."""
    write(MIXED, "deals.csv")
    asked = []

    def confirm(report):
        asked.append((report.new, len(stored())))
        return {"Customer": "won", "Churned": "lost", "Lead In": "open", "Qualified": "open"}

    (report,) = load_folder(kind="opportunity", confirm=confirm).reports
    assert asked == [(5, 0)]
    assert report.uncertain == ()
    assert [one.status for one in stored().values()] == ["won", "lost", "open", "won", "open"]


def test_words_are_asked_only_where_they_are_uncertain(write, load_folder):
    """Words that are known, and stages on the way, ask nothing; a flag that decides makes stages mere names."""
    write("id,Stage\n1,Closed Won\n2,Proposal\n3,Closed Lost\n", "deals.csv")
    write("id,Stage,Is Won,Is Closed\n4,Customer,true,true\n", "more_deals.csv")
    imported = load_folder(confirm=lambda _: pytest.fail("nothing is uncertain"))
    assert [len(report.words) for report in imported.reports] == [3, 0]


def test_a_saved_mapping_holds_the_words(write, tmp_path, load_folder, stored):
    """Edited and used, it decides; a guess that a word means open leaves it to the stage."""
    write("id,Status,Stage\n1,Customer,\n2,Prospect,Won\n3,Prospect,Talks\n", "deals.csv")
    write_mapping(load_folder(kind="opportunity", dry_run=True).mapping, tmp_path / "m.toml")
    mapping = read_mapping(tmp_path / "m.toml")
    assert mapping.values["status"] == {"Customer": "won", "Prospect": "", "Talks": "open", "Won": "won"}
    load_folder(mapping=mapping)
    assert [one.status for one in stored(Opportunity).values()] == ["won", "won", "open"]


def test_ids_that_most_rows_repeat_are_said(write, load_folder):
    """Lines of orders taken for orders would keep the last line only."""
    write("Order ID,Amount,Order Date\n" + "".join(f"1,{amount},2024-01-01\n" for amount in range(6)), "orders.csv")
    (report,) = load_folder(kind="order").reports
    assert any("5 of 6 rows repeat the id" in warning for warning in report.warnings)
