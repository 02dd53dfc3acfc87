import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import FileError, MappingError
from forecast.intake import Mapping, make_mapping, mapping_text, read_mapping, write_mapping
from forecast.intake.mapping import custom_name

TEXT = """
kind = "opportunity"
timezone = "Asia/Shanghai"
date_order = "dmy"
[columns]
"Deal Value, $" = "amount"
Competitor = "custom.competitor"
split = "ignore"
[types]
competitor = "category"
[values.status]
"Approved by \\"board\\"" = "won"
[times]
competitor = "fixed"
[constants]
currency = "EUR"
amount_is_net = true
"""


def test_a_mapping_is_read_as_written(write, tmp_path):
    """Reading, writing and reading again gives the same mapping."""
    mapping = read_mapping(write(TEXT.replace("amount_is_net = true\n", ""), "m.toml"))
    assert mapping.values == {"status": {'Approved by "board"': "won"}}
    assert mapping.constants == {"currency": "EUR"}
    write_mapping(mapping, tmp_path / "again.toml")
    assert read_mapping(tmp_path / "again.toml") == mapping


WORDS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.dictionaries(WORDS, st.just("ignore")), st.dictionaries(WORDS, WORDS))
def test_any_heading_survives_the_writing(columns, words):
    """Quotes, control characters, dots and Chinese in headings and words come back as they were."""
    import tomllib

    mapping = Mapping(columns=columns, values={"status": words} if words else {})
    assert make_mapping(tomllib.loads(mapping_text(mapping))) == mapping


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[columns]\nA = "amonut"\n', "did you mean amount"),
        ('[columns]\nA = "custom.Deal Size"\n', "custom.deal_size"),
        ('kind = "oportunity"', "did you mean opportunity"),
        ('date_order = "dym"', "ymd, dmy, mdy"),
        ('timezone = "Mars/Base"', "IANA"),
        ('[types]\na = "float"\n', "number, text"),
        ('[times]\na = "later"\n', "fixed, tracked, outcome"),
        ('colums = "x"', "did you mean columns"),
        ('columns = "x"', "expected a table"),
        ('[constants]\namount_is_net = "1"\n', "opportunity has no field"),
    ],
)
def test_a_mapping_that_names_what_does_not_exist_is_refused(text, message, write):
    """The message offers the nearest name, or what may be given."""
    head = "" if text.startswith("kind") else 'kind = "opportunity"\n'
    with pytest.raises(MappingError, match=message):
        read_mapping(write(head + text, "m.toml"))


def test_what_is_no_toml_is_refused_at_its_place(write, tmp_path):
    """The message says where the file breaks, or that it is not there."""
    with pytest.raises(FileError, match="line 2"):
        read_mapping(write("a = 1\nb = \n", "m.toml"))
    with pytest.raises(FileError, match=r"none\.toml"):
        read_mapping(tmp_path / "none.toml")


def test_a_heading_that_the_file_lacks_is_a_warning(load):
    """A mapping made for a wider export still serves."""
    mapping = Mapping(columns={"Budget": "amount"})
    report = load("id,outcome\n1,won\n", mapping=mapping)
    assert any('"Budget"' in warning for warning in report.warnings)


def test_two_columns_for_one_field_are_refused(load):
    """The mapping must choose."""
    with pytest.raises(MappingError, match="keep one"):
        load("id,outcome,a,b\n1,won,1,2\n", mapping=Mapping(columns={"a": "amount", "b": "amount"}))


def test_the_mapping_of_a_report_reads_the_file_the_same_way(load, tmp_path):
    """What was recognised, written to a file and given back, changes nothing."""
    text = "Deal ID,Deal Stage,Amount,Close Date,Tags,Size\n1,Won,5,13/01/2024,a;b,3\n2,New,6,14/01/2024,c;d,4\n"
    first = load(text, dry_run=True)
    write_mapping(first.mapping, tmp_path / "m.toml")
    again = load(text, mapping=read_mapping(tmp_path / "m.toml"), dry_run=True)
    assert again.mapping == first.mapping


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Deal Value, $", "deal_value"),
        ("Competitor__c", "competitor"),
        ("竞争对手（主要）", "竞争对手_主要"),
        ("2024 plan", "field_2024_plan"),
        ("$$", "unnamed"),
    ],
)
def test_custom_names_are_safe(heading, name):
    """Small letters, digits and _, with Chinese letters kept."""
    assert custom_name(heading) == name
    assert custom_name(name) == name
