"""What training, recalibration and backtests say, in both languages."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learning import EXPERIMENT, STRICT

import forecast
from forecast.wording import say_training
from forecast.wording.phrasebook import read_phrases
from forecast.wording.training import TRAINING
from training.cautions import too_little
from training.gates import Judged, decide_gates, no_step_back, verdict

CHECKOUT = Path(forecast.__file__).parents[2]
WORD = re.compile(r"(?<![A-Za-z])[a-z]{3,}")
"""An English word; names of measures and files apart."""


def plain(source):
    """Give a source with its sentences in one piece, and each of their values as `{}`."""
    joined = re.sub(r'"\s*\n\s*f?["\']|\'\s*\n\s*f?["\']', "", source)
    return re.sub(r"\{[^{}\n]*\}", "{}", joined)


@pytest.fixture(scope="module")
def source():
    """Read all sources of library and laboratory."""
    paths = [path for folder in ("src/forecast", "training") for path in (CHECKOUT / folder).rglob("*.py")]
    return plain("\n".join(path.read_text("utf-8") for path in paths))


@pytest.mark.parametrize("english", list(read_phrases(TRAINING)))
def test_a_sentence_with_a_chinese_one_is_still_said(source, english):
    """The pieces of each English sentence stand in the code: whoever changes one there changes it here."""
    for piece in re.split(
        r"\{\w+\}|; |: | \(|no signal found|not promoted|beats|no worse than| on (?=log|Brier)| at the right level",
        english,
    ):
        assert piece.strip(" )") in source, piece


@pytest.mark.parametrize("english", list(read_phrases(TRAINING)))
def test_a_sentence_is_said_in_chinese_with_its_values(english):
    """Both languages have the same values, and a sentence becomes the one that was written for it."""
    chinese = read_phrases(TRAINING)[english]
    names = re.findall(r"\{(\w+)\}", english)
    assert sorted(re.findall(r"\{(\w+)\}", chinese)) == sorted(names)
    values = {name: str(place) for place, name in enumerate(names, start=11)}
    assert say_training(english.format(**values), "zh") == chinese.format(**values)


@pytest.fixture(scope="module")
def gates():
    """Gates of a model that is as good as a coin, some of which it passes."""
    draw = np.random.default_rng(1)
    won = (draw.random(400) < 0.3).astype(float)
    ours, prior = draw.uniform(0.1, 0.9, 400), np.full(400, 0.3)
    judged = Judged(
        won=won, weight=np.ones(400), groups=np.arange(400), ours=ours, prior=prior, clock=prior, logistic=prior,
        live=prior, segments={"account_region EMEA": won >= 0},
    )  # fmt: skip
    bare = replace(judged, segments={}, live=None)
    rules = STRICT.gates
    again = no_step_back(judged, prior, ours, rules, who="the live version", seed=1)
    return [*decide_gates(judged, EXPERIMENT.gates, 1), *decide_gates(bare, rules, 1), *again]


def test_every_gate_is_said_in_chinese(gates):
    """Names and sentences of gates hold no English word, whether they pass or fail."""
    assert {gate.passed for gate in gates} == {True, False}
    for gate in gates:
        said = say_training(gate.name, "zh") + say_training(gate.sentence, "zh")
        assert not WORD.search(said.replace("account_region", "")), said


def test_a_verdict_is_said_gate_by_gate(gates):
    """Each gate that failed is said in Chinese, however many they are."""
    said = say_training(verdict(gates), "zh")
    assert said.startswith("未发现规律，不上线：第 1 关（对数损失优于迄今的赢单比例）：校正水平后对数损失 ")
    assert said.count("关（") == sum(not gate.passed for gate in gates)
    assert not WORD.search(said.replace("account_region", "")), said
    assert say_training("promoted: every gate passed", "zh") == "上线：全部关卡通过"


def test_too_little_is_said_in_chinese():
    """What is missing is said with its numbers."""
    said = say_training(too_little((3, 5), EXPERIMENT), "zh")
    assert "商机 3 个" in said
    assert not WORD.search(said)


def test_other_sentences_stay_as_they_are():
    """What an earlier release kept, a reason that somebody typed, and everything where English is asked for."""
    assert say_training("as nobody says now", "zh") == "as nobody says now"
    assert say_training("despite failed gates: the board asked", "zh") == "未通过关卡仍上线：the board asked"
    assert say_training("promoted by hand", "en") == "promoted by hand"
