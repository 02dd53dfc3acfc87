"""The words of a file that tell how its records ended, and those that may."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forecast.intake import vocabulary
from forecast.intake.survey import SeenColumn

STATUSES: Mapping[str, tuple[str, ...]] = {
    "opportunity": ("open", "won", "lost"),
    "lead": ("open", "converted", "disqualified"),
}


@dataclass(frozen=True)
class StatusWord:
    """A word of a status or stage column, in how many rows it stands, and the status that it is taken for.

    Attributes:
        is_certain: whether it is known or decided; else its status is a guess, which is not acted upon.
    """

    heading: str
    word: str
    count: int
    status: str
    is_certain: bool


def status_words(
    seen: Sequence[SeenColumn], foreign: Mapping[str, str], known: Mapping[str, str]
) -> tuple[StatusWord, ...]:
    """List the words that decide which records are open, won or lost, the most frequent first.

    Args:
        seen: the columns.
        foreign: headings of columns called status whose words are not known.
        known: normalised word -> status.
    """
    fields = {column.field for column in seen}
    columns = [column for column in seen if column.field == "status" or column.heading in foreign]
    if not fields & {"status", "is_won", "is_closed"}:
        columns += [column for column in seen if column.field == "stage"]
    found = [word for column in columns if known for word in _words(column, known)]
    return tuple(sorted(found, key=lambda word: (-word.count, word.word)))


def _words(column: SeenColumn, known: Mapping[str, str]) -> Iterator[StatusWord]:
    for name, count in column.tally.counts.items():
        if not name.startswith("word:"):
            continue
        word = name.removeprefix("word:")
        key = vocabulary.word_key(word)
        guess = vocabulary.guess_status(column.kind, key)
        # A stage without a sign of an end is a stage on the way; a status that is not known may be anything.
        is_certain = key in known or (column.field == "stage" and guess == "open")
        yield StatusWord(column.heading, word, count, known.get(key) or guess, is_certain)
