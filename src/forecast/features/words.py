"""What stands in lists and short texts: entries and words that many opportunities have."""

import re
from collections.abc import Iterable, Sequence

import polars as pl

MOST_ENTRIES = 10
ENTRY_SHARE_MIN = 0.02
TEXTS_READ = 20_000

_WORD = re.compile(r"[^\W\d_\u4e00-\u9fff]{3,}")
_HAN = re.compile(r"[\u4e00-\u9fff]{2,}")


def frequent_entries(column: pl.Series) -> tuple[str, ...]:
    """Give the entries that most lists have, at least ENTRY_SHARE_MIN of them, by name."""
    lists = column.drop_nulls().head(TEXTS_READ).str.json_decode(pl.List(pl.String))
    return _frequent(lists.drop_nulls().to_list(), len(column))


def frequent_words(column: pl.Series) -> tuple[str, ...]:
    """Give the words that most texts have, at least ENTRY_SHARE_MIN of them, in small letters; of Chinese, pairs of signs."""
    return _frequent((_words(text.lower()) for text in column.drop_nulls().head(TEXTS_READ)), len(column))


def _frequent(found: Iterable[Iterable[str]], rows: int) -> tuple[str, ...]:
    """Give what most have; of what always comes together the first: the rest says the same, as pairs across words do."""
    places: dict[str, list[int]] = {}
    for number, entries in enumerate(found):
        for entry in dict.fromkeys(entries):
            places.setdefault(entry, []).append(number)
    needed = max(2.0, ENTRY_SHARE_MIN * min(rows, TEXTS_READ))
    first = {tuple(own): entry for entry, own in reversed(places.items()) if needed <= len(own)}
    ordered = sorted(first, key=lambda own: (-len(own), first[own]))
    return tuple(sorted(first[own] for own in ordered[:MOST_ENTRIES]))


def _words(text: str) -> list[str]:
    pairs = [run[start : start + 2] for run in _HAN.findall(text) for start in range(len(run) - 1)]
    return [*_WORD.findall(text), *pairs]


def entry_features(column: pl.Expr, entries: Sequence[str]) -> list[pl.Expr]:
    """Tell whether a list has each of these entries, 1 or 0; missing where the list is."""
    listed, name = column.str.json_decode(pl.List(pl.String)), column.meta.output_name()
    return [listed.list.contains(entry).cast(pl.Float64).alias(f"{name}_has_{entry}") for entry in entries]


def word_features(column: pl.Expr, words: Sequence[str]) -> list[pl.Expr]:
    """Tell whether a text has each of these words anywhere, 1 or 0; missing where the text is."""
    text, name = column.str.to_lowercase(), column.meta.output_name()
    return [text.str.contains(word, literal=True).cast(pl.Float64).alias(f"{name}_says_{word}") for word in words]
