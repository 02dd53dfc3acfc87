import re

import pytest
from learning import EXPERIMENT, MODELS

from forecast.errors import InputError
from training.config import Experiment, Range, parse_config, read_experiment

TEXT = EXPERIMENT.text


def test_the_file_is_the_whole_experiment():
    """Every section of config.toml arrives, and the text itself is kept."""
    assert EXPERIMENT.name == "win_probability"
    assert EXPERIMENT.ages_days[0] == 0
    assert EXPERIMENT.rates[:3] == ("owner_id", "team_id", "account_id")
    assert EXPERIMENT.data.closed_min == 40
    assert EXPERIMENT.search.trials == 30
    assert EXPERIMENT.search.space["num_leaves"] == Range(low=4, high=63, scale="log-int")
    assert EXPERIMENT.gates.confidence == 0.95
    assert (MODELS / "win_probability" / "config.toml").read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("text", ["", "name = ", TEXT + "[data]\n", TEXT.replace('"', "'", 1)])
def test_what_is_not_toml_is_refused_with_a_sentence(text):
    """A half-written file is named as such, with the place where TOML ends or the key that is missing."""
    with pytest.raises(InputError, match=r"^config\.toml"):
        parse_config(text, Experiment)


def test_a_direction_is_one_up_or_one_down():
    """Features may be told to only raise or lower the probability; anything else is refused with its name."""
    assert parse_config(TEXT + "[monotone]\nstage_days = -1\n", Experiment).monotone == {"stage_days": -1}
    with pytest.raises(InputError, match=r"monotone.stage_days"):
        parse_config(TEXT + "[monotone]\nstage_days = 2\n", Experiment)


@pytest.mark.parametrize(
    "key",
    [
        "seed",
        "vouched",
        "ages_days",
        "closed_min",
        "gap_days",
        "trials",
        "rounds_max",
        "rows_max",
        "confidence",
        "segment_error_max",
        "auc_max",
    ],
)
def test_a_missing_key_is_named(key):
    """Each key is needed; there are no hidden defaults."""
    without = re.sub(rf"^{key} = .*$", "", TEXT, flags=re.MULTILINE)
    assert without != TEXT
    with pytest.raises(InputError, match=rf"config.toml.*{key}"):
        parse_config(without, Experiment)


def test_a_file_that_lacks_a_newer_key_is_named_with_what_to_add(tmp_path):
    """A config.toml of an earlier release is answered with its path, the key and the table that it goes under."""
    path = tmp_path / "win_probability" / "config.toml"
    path.parent.mkdir()
    path.write_text(re.sub(r"^rows_max = .*$", "", TEXT, flags=re.MULTILINE), encoding="utf-8")
    sentence = rf"^{re.escape(str(path))}: search.rows_max is missing: add rows_max under \[search\]"
    with pytest.raises(InputError, match=sentence):
        read_experiment(tmp_path, "win_probability")


@pytest.mark.parametrize("section", ["data", "search", "search.space", "gates"])
def test_a_missing_section_is_named(section):
    """A section that is left out is missed by name."""
    without = re.sub(rf"^\[{re.escape(section)}\].*?(?=^\[|\Z)", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert f"[{section}]" not in without
    with pytest.raises(InputError, match=section.rpartition(".")[2]):
        parse_config(without, Experiment)


@pytest.mark.parametrize("line", ["seeds = 1", "[data]\nclosed_most = 3", "[gates]\nauc_min = 0.1", "[extra]\nx = 1"])
def test_an_unknown_key_is_named(line):
    """A misspelt key is not passed over in silence."""
    section, _, key = line.rpartition("\n")
    text = TEXT.replace(section, line, 1) if section in {"[data]", "[gates]"} else line + "\n" + TEXT
    name = key.partition(" ")[0] if section != "[extra]" else "extra"
    with pytest.raises(InputError, match=rf"config.toml.*{name}"):
        parse_config(text if section != "[extra]" else TEXT + line, Experiment)


def test_an_unknown_model_is_answered_with_those_there_are(tmp_path):
    """The sentence lists the models of the folder, and says so where there are none."""
    with pytest.raises(InputError, match=r'no model "win_probabilty".*there are:.*win_probability'):
        read_experiment(MODELS, "win_probabilty")
    with pytest.raises(InputError, match="there are: none"):
        read_experiment(tmp_path, "win_probability")


@pytest.mark.parametrize(
    ("written", "wrong", "sentence"),
    [
        (r"trials = \d+", 'trials = "many"', "search.trials is 'many': input should be a valid integer"),
        (r"trials = \d+", "trials = 0", "search.trials is 0: input should be greater than or equal to 1"),
        (r"closed_min = \d+", "closed_min = 4.5", "data.closed_min is 4.5: input should be a valid integer"),
        (r"test_share = [\d.]+", "test_share = 2", "data.test_share is 2: input should be less than 1"),
        (r"folds = \d+", "folds = 1", "data.folds is 1: input should be greater than or equal to 2"),
        (r"gap_days = \d+", "gap_days = -1", "data.gap_days is -1: "),
        (r"auc_max = [\d.]+", "auc_max = 98", "gates.auc_max is 98: input should be less than or equal to 1"),
        ("low = 4, high = 63", "low = 63, high = 4", "search.space.num_leaves: low is 63.0 and high 4.0; low must"),
        ("low = 4, high = 63", "low = 0, high = 4", "search.space.num_leaves: low is 0.0; on a logarithmic scale"),
        (
            'scale = "log-int"',
            'scale = "square"',
            "search.space.num_leaves.scale is 'square': input should be 'linear'",
        ),
        (r"ages_days = \[0, 7", "ages_days = [7, 0", "ages_days is [7.0, 0.0, 30.0"),
        (r"\[data\]", "data = 3\n[other]", "data is 3: "),
    ],
)
def test_a_value_that_can_not_be_is_refused_before_anything_is_trained(written, wrong, sentence):
    """A number that is none, or out of its range, is named with its place, what was found and what was expected."""
    text = re.sub(written, wrong, TEXT, count=1)
    assert text != TEXT
    with pytest.raises(InputError, match=f"^config.toml: .*{re.escape(sentence)}.*compare it with"):
        parse_config(text, Experiment)
