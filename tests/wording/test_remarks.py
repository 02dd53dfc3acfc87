"""Remarks beside forecasts, targets and changes, in both languages."""

import re
from pathlib import Path

import pytest

import forecast
from forecast.wording import say_remark
from forecast.wording.phrasebook import read_phrases
from forecast.wording.remarks import REMARKS

FOLDER = Path(forecast.__file__).parent


def plain(source):
    """Give a source with its sentences in one piece, and each of their values as `{}`."""
    joined = re.sub(r'"\s*\n\s*f?["\']|\'\s*\n\s*f?["\']', "", source)
    return re.sub(r"\{[^{}\n]*\}", "{}", joined)


@pytest.fixture(scope="module")
def source():
    """Read all sources of the library."""
    return plain("\n".join(path.read_text("utf-8") for path in FOLDER.rglob("*.py")))


@pytest.mark.parametrize("english", [text for text in read_phrases(REMARKS) if "{" in text or " " in text])
def test_a_remark_with_a_chinese_sentence_is_still_made(source, english):
    """The pieces of each English sentence stand in the code: whoever changes one there changes it here."""
    for piece in re.split(r"\{\w+\}|; |: ", english):
        assert piece.strip() in source, piece


@pytest.mark.parametrize("english", list(read_phrases(REMARKS)))
def test_a_remark_is_said_in_chinese_with_its_values(english):
    """Both languages have the same values, and a remark becomes the sentence that was written for it."""
    names = re.findall(r"\{(\w+)\}", english)
    chinese = read_phrases(REMARKS)[english]
    assert set(re.findall(r"\{(\w+)\}", chinese)) <= set(names)
    values = {name: str(place) for place, name in enumerate(names, start=1)}
    assert say_remark(english.format(**values), "zh") == chinese.format(**values)


def test_what_a_remark_names_is_said_in_chinese_too():
    """Levels, moments and effects within a sentence are; names of the company's own are left as they are."""
    said = say_remark("before: 3 of 9 open opportunities had no close date, and are in no period", "zh")
    assert said == "之前：9 个在跟商机中有 3 个没有预计成交日期，不计入任何期间"
    said = say_remark("known ahead, on average: promotion +5.2 % a unit, quota +1.0 % per 1,000", "zh")
    assert said == "事先已知的内容，平均而言：promotion 每一单位 +5.2 %、quota 每 1,000 +1.0 %"


def test_other_remarks_and_english_stay_as_they_are():
    """What was kept by an earlier release, and everything where English is asked for."""
    assert say_remark("as nobody says now", "zh") == "as nobody says now"
    assert say_remark("no opportunity is open: the forecast rests on what was booked", "en").startswith(
        "no opportunity"
    )
