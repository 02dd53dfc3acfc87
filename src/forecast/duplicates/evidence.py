"""How much two records agree: evidence for and against their being one, summed to a confidence.

Match weights as of Fellegi and Sunter (1969), in natural log-odds. They are fitted to generated companies and
leads and rounded (`python -m benchmarks.duplicates`, `python -m benchmarks.lead_duplicates`).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

SIMILAR = 0.75
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a field is compared, and what each result weighs; a field that one of both lacks says nothing.

    Attributes:
        field: key column, also the name under which evidence is given.
        same: weight where the keys agree; what k records share weighs ln(k/2) less.
        close: where one letter differs; 0 for keys in which every letter counts.
        similar: where at least SIMILAR of their pairs of letters agree.
        differs: where they don't.
    """

    field: str
    same: float
    close: float = 0.0
    similar: float = 0.0
    differs: float


COMPARISONS: Mapping[str, Sequence[Comparison]] = MappingProxyType(
    {
        "account": (
            Comparison(field="name", same=5.5, close=4.0, similar=2.5, differs=-1.5),
            Comparison(field="domain", same=3.0, differs=-1.0),
            Comparison(field="phone", same=2.5, differs=-1.0),
        ),
        "lead": (
            Comparison(field="name", same=6.0, close=3.5, similar=2.0, differs=-2.0),
            Comparison(field="company", same=3.5, close=1.5, similar=1.0, differs=-1.5),
            Comparison(field="email", same=7.0, differs=-0.5),
            Comparison(field="phone", same=3.0, differs=-0.5),
            Comparison(field="domain", same=0.5, differs=-0.5),
        ),
    }
)
PRIOR = -4.0


def weigh_pairs(pairs: pl.DataFrame, records: pl.DataFrame, comparisons: Sequence[Comparison]) -> pl.DataFrame:
    """Add to `left, right` the `confidence`, 0 to 1, and the `evidence`: `field:result`, the weightiest first.

    Args:
        pairs: rows of `records`.
        records: `row` and a key column for each comparison, sorted by row.
        comparisons: in force.
    """
    weighed = pairs.with_columns(
        column for comparison in comparisons for column in _compared(pairs, records, comparison)
    )
    names = [comparison.field for comparison in comparisons]
    logit = PRIOR + pl.sum_horizontal(f"{name}_weight" for name in names)
    said = [
        pl.struct(
            pl.col(f"{name}_weight").abs().alias("weight"),
            pl.concat_str(pl.lit(f"{name}:"), pl.col(f"{name}_result")).alias("evidence"),
        )
        for name in names
    ]
    evidence = pl.concat_list(said).list.sort(descending=True).list.eval(pl.element().struct.field("evidence"))
    confidence = 1 / (1 + (-logit).exp())
    return weighed.select("left", "right", confidence.alias("confidence"), evidence.list.drop_nulls().alias("evidence"))


def _compared(pairs: pl.DataFrame, records: pl.DataFrame, comparison: Comparison) -> list[pl.Series]:
    """Give the result and the weight of one field for each pair."""
    keys = records[comparison.field]
    both = pl.DataFrame({"a": keys.gather(pairs["left"]), "b": keys.gather(pairs["right"])})
    shared_by = keys.to_frame("key").select(pl.len().over("key")).to_series().gather(pairs["left"])
    result = _phone_result(both) if comparison.field == "phone" else _result(both, comparison)
    weights = {name: getattr(comparison, name) for name in ("same", "close", "similar", "differs")}
    weight = result.replace_strict(weights, default=0.0, return_dtype=pl.Float64)
    crowd = (shared_by.cast(pl.Float64) / 2).log().clip(lower_bound=0.0)
    weight = weight - crowd.zip_with(result.eq("same").fill_null(value=False), crowd * 0)
    return [result.alias(f"{comparison.field}_result"), weight.alias(f"{comparison.field}_weight")]


def _phone_result(both: pl.DataFrame) -> pl.Series:
    """Compare phones: a number without its country's code is the end of the one with it."""
    same = pl.col("a").str.ends_with(pl.col("b")) | pl.col("b").str.ends_with(pl.col("a"))
    return both.select(pl.when(same).then(pl.lit("same")).when(~same).then(pl.lit("differs"))).to_series()


def _result(both: pl.DataFrame, comparison: Comparison) -> pl.Series:
    equal = both.select(pl.col("a") == pl.col("b")).to_series()
    if not comparison.close:
        return equal.replace_strict({True: "same", False: "differs"}, default=None, return_dtype=pl.String)
    differing = both.filter(~equal).unique()
    judged = differing.with_columns(
        pl.Series("result", [spelling(a, b) for a, b in differing.iter_rows()], dtype=pl.String)
    )
    joined = both.join(judged, on=["a", "b"], how="left", maintain_order="left")
    return joined.select(pl.when(equal).then(pl.lit("same")).otherwise("result")).to_series()


def spelling(one: str, other: str) -> str:
    """Tell whether two different names are close, similar or differ; their digits must agree.

    A Chinese letter is a word: names in which one differs are similar at most.
    """
    if [letter for letter in one if letter.isdigit()] != [letter for letter in other if letter.isdigit()]:
        return "differs"
    if min(len(one), len(other)) >= 7 and _one_edit_apart(one, other):
        return "similar" if _CHINESE.search(one + other) else "close"
    return "similar" if _dice(one, other) >= SIMILAR else "differs"


def _one_edit_apart(one: str, other: str) -> bool:
    """Tell whether one letter is added, missing, another or swapped with the next."""
    short, long = sorted((one, other), key=len)
    start = next((place for place, letter in enumerate(short) if letter != long[place]), len(short))
    if len(long) - len(short) == 1:
        return short[start:] == long[start + 1 :]
    if len(long) != len(short):
        return False
    swapped = short[start : start + 2][::-1] == long[start : start + 2] and short[start + 2 :] == long[start + 2 :]
    return swapped or short[start + 1 :] == long[start + 1 :]


def _dice(one: str, other: str) -> float:
    """Give the Sørensen-Dice coefficient of their pairs of letters."""
    first, second = (Counter(text[place : place + 2] for place in range(len(text) - 1)) for text in (one, other))
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 0.0
