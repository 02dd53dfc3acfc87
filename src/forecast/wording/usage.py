"""What is wrong with a command line, said in Chinese by usage.toml."""

from forecast.wording.phrasebook import chinese_list, find_phrase

USAGE = "usage.toml"


def say_usage(sentence: str) -> str:
    """Say in Chinese what is wrong with a command line; what is not known stays English."""
    found = find_phrase(sentence, USAGE)
    if found is None:
        return sentence
    chinese, values = found
    return chinese.format(**{name: chinese_list(name, say_usage(text)) for name, text in values.items()})
