"""What commands and the API refuse and what imports report, in both languages."""

import ast
import re
from pathlib import Path

import pytest

import forecast
from forecast.wording import say_error
from forecast.wording.errors import FILES
from forecast.wording.phrasebook import read_phrases

CHECKOUT = Path(forecast.__file__).parents[2]
BOOK = {english: chinese for file in FILES for english, chinese in read_phrases(file).items()}
FOLDERS = ("src/forecast", "serving", "training")
NOT_OURS = {"ValueError", "TypeError", "KeyError", "PydanticCustomError"}
# Raised at programs that call the library, not at whoever runs a command or calls the API.
OF_PROGRAMS = {"src/forecast/demo/company.py", "src/forecast/revenue/cells.py"}
# Sentences put together of parts, each of which is in the file by itself.
OF_PARTS = {
    "{}",
    '{} "{}"; {}',
    '{}, row {}, column {}: "{}" {}',
    "{} is {} in the mapping; expected {}",
    "{}, which is not what the request asks for; {}",
    "{}: nothing can be said of them; `forecast outlook --as-of MOMENT` keeps forecasts of past moments",
    "no revenue forecast{} is kept; `forecast outlook` makes and keeps one",
    'the mapping fills {} from {} and from "{}"; keep one, set the other to {}',
    'account "{}" has no score; accounts that have bought get one by `forecast score {}`',
}
# Words of Python, pydantic and HTTP, and pieces that the code puts together of several.
SAID_ELSEWHERE = re.compile(
    r"\[Errno|Not Found|Method Not|(greater|less) than|expected a |keep one|no revenue forecast is|accounts that have|"
    r"nothing is stored|mend its name, or put|\" names$|\" is empty by now|, without which orders|(if one does|\?\)), set it|can't be an id"
)


def sentence(node):
    """Give a sentence of the code with each of its values as `{}`."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def refusals(path):
    """Give the sentences that errors and failed requests of a file are made with."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if name not in NOT_OURS and name.endswith(("Error", "HTTPException")):
            yield from filter(None, map(sentence, node.args))


PATHS = [path for folder in FOLDERS for path in sorted((CHECKOUT / folder).rglob("*.py"))]
REFUSALS = {
    text for path in PATHS if str(path.relative_to(CHECKOUT)) not in OF_PROGRAMS for text in refusals(path)
} - OF_PARTS


def test_the_rule_sees_the_errors():
    """The rule below looks at real errors; an empty list would satisfy it."""
    assert len(REFUSALS) > 150


@pytest.mark.parametrize("text", sorted(REFUSALS))
def test_every_error_has_its_chinese(text):
    """Whoever adds or changes an error says it in Chinese too."""
    english = text.replace("{}", "7")
    assert say_error(english, "zh") != english


def plain(source):
    """Give a source with its sentences in one piece, and each of their values as `{}`."""
    joined = re.sub(r'"\s*\n\s*f?["\']|\'\s*\n\s*f?["\']', "", source).replace("\\'", "'").replace('\\"', '"')
    return re.sub(r"\{[^{}\n]*\}", "{}", joined)


@pytest.fixture(scope="module")
def source():
    """Read all sources."""
    return plain("\n".join(path.read_text("utf-8") for path in PATHS))


@pytest.mark.parametrize("english", [text for text in BOOK if " " in text])
def test_a_chinese_error_is_still_raised(source, english):
    """The pieces of each English sentence stand in the code: none is kept that nobody says."""
    for piece in re.split(r"\{\w+\}|; |: | \(", english):
        assert piece.strip() in source or SAID_ELSEWHERE.match(piece.strip()), piece


@pytest.mark.parametrize("english", list(BOOK))
def test_an_error_is_said_in_chinese_with_its_values(english):
    """Both languages have the same values, and an error becomes the sentence that was written for it."""
    chinese = BOOK[english]
    names = re.findall(r"\{(\w+)\}", english)
    assert set(re.findall(r"\{(\w+)\}", chinese)) <= set(names)
    values = {name: str(place) for place, name in enumerate(names, start=11)}
    assert say_error(english.format(**values), "zh") == chinese.format(**values)


def test_parts_of_an_error_are_said_in_chinese_too():
    """Kinds of records, reasons and remedies are; ids, paths and what is to be typed stay as they are."""
    said = say_error('"12,5k" is not a number; write digits such as 12500.50', "zh")
    assert said == "“12,5k”不是数字；请写成 12500.50 这样的数字"
    said = say_error('lead "L1" is not stored; `forecast duplicates leads` lists ids', "zh")
    assert said == "没有存储编号为“L1”的线索；用 `forecast duplicates leads` 查看编号"
    said = say_error('3 rejected: column "金额": "12k5" is not a number; write digits such as 12500.50', "zh")
    assert said == "3 行被拒绝：“金额”列的“12k5”不是数字；请写成 12500.50 这样的数字"
    assert say_error('there is no key "crm"; there are: none', "zh") == "没有名为“crm”的密钥；现有：无"
    said = say_error('opportunities[0].created_at: found "x", expected a moment; write 2026-03-01T09:30:00+08:00', "zh")
    assert said == 'opportunities[0].created_at：收到 "x"，应为时间；请写成 2026-03-01T09:30:00+08:00'


def test_what_is_not_known_stays_english():
    """What another program said, and everything where English is asked for."""
    assert say_error("as nobody says", "zh") == "as nobody says"
    assert say_error("nothing to set; give --en or --zh", "en") == "nothing to set; give --en or --zh"


def test_what_strangers_sent_is_no_endless_sentence():
    """A text that holds the marks of a sentence thousands of times is said, not refused for its depth."""
    assert say_error('" is , found ; ' * 5_000, "zh").startswith("“")


def test_lists_have_the_comma_of_chinese_lists():
    """What is a list in English is one in Chinese; a path or a name with a comma stays as it is."""
    assert say_error('--period is "week"; give one of month, quarter, year', "zh").endswith("month、quarter、year")
    assert "a, b.csv" in say_error("there is no file a, b.csv; check its name and folder", "zh")
