"""What training, recalibration and backtests say: English sentences as versions keep them, said in Chinese by training.toml."""

import re

from forecast.wording.errors import say_error
from forecast.wording.labels import Language
from forecast.wording.phrasebook import find_phrase

TRAINING = "training.toml"
_GATES = re.compile(r"; (?=gate \d+ \()")


def say_training(sentence: str, language: Language) -> str:
    """Say a verdict, a gate, a warning or a step in a language; what is not known stays English.

    What stands for {gates}, {said}, {who} and the like is said in Chinese too where it is one of these sentences.
    """
    found = None if language == "en" else find_phrase(sentence, TRAINING)
    if found is None:
        return say_error(sentence, language)
    chinese, values = found
    return chinese.format(**{name: _say_value(text, language) for name, text in values.items()})


def _say_value(text: str, language: Language) -> str:
    parts = _GATES.split(text)
    return "；".join(say_training(part, language) if find_phrase(part, TRAINING) else part for part in parts)
