"""How good revenue forecasts would have been, and whether a version may be served."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.stats import binom

from forecast.metrics import chance_of_gain
from training.gates import Gate, verdict
from training.revenue_backtest import Origin
from training.revenue_config import RevenueGates
from training.revenue_fit import Blended, Lesson, blended, fit_revenue_model

YARDSTICKS = {"naive": "seasonal naive", "weighted": "the weighted pipeline"}
METHODS = ("blend", "parts", "series", "weighted", "naive")
CHANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class JudgedMonths:
    """The company's months from each origin, and how often persons' ranges held.

    Attributes:
        months: `as_of, month, ahead` (0 is the month of the origin), `actual`, what each of METHODS said (missing where it
            said nothing), and the bounds `lo-80, hi-80, lo-95, hi-95`.
        persons: `ahead` and whether `inside_80` and `inside_95` held, one row a person, origin and month with any revenue.
    """

    months: pl.DataFrame
    persons: pl.DataFrame


def judge_origins(lessons: Sequence[Lesson], *, seed: int) -> JudgedMonths:
    """Judge what would have been said at each origin, newest first, by weights and ranges learnt before it alone."""
    months, persons = [], []
    for place, lesson in enumerate(lessons):
        origin = lesson.origin
        model = fit_revenue_model(lessons[place + 1 :], origin.as_of, usual=origin.usual)
        said = blended(origin, model, seed=seed)
        months.append(_months(origin, said))
        persons.append(_persons(origin, said))
    return JudgedMonths(months=pl.concat(months), persons=pl.concat(persons))


def _months(origin: Origin, said: Blended) -> pl.DataFrame:
    count = len(origin.months.starts)
    won = np.zeros(count)
    won[0] = origin.won.sum()
    series = None if origin.series is None else origin.series.sum(axis=0) + won
    _, _, low80, high80, low95, high95 = said.bounds
    found = pl.DataFrame(
        {
            "as_of": [origin.as_of] * count,
            "month": list(origin.months.starts),
            "ahead": np.arange(count),
            "actual": origin.company,
            "blend": said.mean,
            "parts": origin.parts.sum(axis=0) + won,
            "series": pl.Series([None] * count if series is None else series, dtype=pl.Float64),
            "weighted": origin.weighted,
            "naive": origin.naive,
            "lo-80": low80,
            "hi-80": high80,
            "lo-95": low95,
            "hi-95": high95,
        }
    )
    return found.filter(pl.col("actual").is_finite())


def _persons(origin: Origin, said: Blended) -> pl.DataFrame:
    _, _, low80, high80, low95, high95 = said.person_bounds
    seen = np.isfinite(origin.actual) & ((origin.actual > 0) | (origin.parts > 0))
    ahead = np.broadcast_to(np.arange(origin.parts.shape[1]), origin.parts.shape)
    slack = 1e-6
    inside = {
        "inside_80": (low80 - slack <= origin.actual) & (origin.actual <= high80 + slack),
        "inside_95": (low95 - slack <= origin.actual) & (origin.actual <= high95 + slack),
    }
    return pl.DataFrame({"ahead": ahead[seen], **{name: found[seen] for name, found in inside.items()}})


def measure_revenue(judged: JudgedMonths, judged_months: int) -> dict[str, float]:
    """Measure each method's absolute error as a share of revenue over the first months ahead, and how often ranges held.

    All methods are measured on the same months: those that the time series spoke of, where it spoke of any.
    """
    near = judged.months.filter(pl.col("ahead") < judged_months)
    months = near.drop_nulls("series") if near["series"].null_count() < near.height else near
    found = {}
    for name in METHODS:
        both = months.drop_nulls(name)
        gap, whole = (both[name] - both["actual"]).to_numpy(), float(both["actual"].sum())
        if whole > 0:
            found[f"{name}_absolute_error"] = float(np.abs(gap).sum() / whole)
            found[f"{name}_bias"] = float(gap.sum() / whole)
    for level in ("80", "95"):
        inside = judged.months["actual"].is_between(judged.months[f"lo-{level}"], judged.months[f"hi-{level}"])
        found[f"coverage_{level}_company"] = float(inside.mean() or 0.0)  # type: ignore[arg-type]
        found[f"coverage_{level}_person"] = float(judged.persons[f"inside_{level}"].mean() or 0.0)  # type: ignore[arg-type]
    return found


def decide_revenue_gates(judged: JudgedMonths, rules: RevenueGates, *, seed: int) -> list[Gate]:
    """Decide every gate on months that the judged weights and ranges had not seen, numbered from 1."""
    months = judged.months.filter(pl.col("ahead") < rules.judged_months)
    gates = [_better(months, name, said, rules, seed) for name, said in YARDSTICKS.items()]
    gates += [_covered(judged.months, rules)]
    return [replace(gate, number=number) for number, gate in enumerate(gates, start=1)]


def _better(months: pl.DataFrame, name: str, said: str, rules: RevenueGates, seed: int) -> Gate:
    actual, groups = months["actual"], months["as_of"].rank("dense").cast(pl.Int64).to_numpy()
    mine, theirs = ((months[who] - actual).abs().to_numpy() for who in ("blend", name))
    chance, whole = chance_of_gain(mine, theirs, groups, seed), max(float(actual.sum()), 1e-9)
    return Gate(
        name=f"beats {said}",
        passed=chance >= rules.confidence,
        sentence=(
            f"absolute error {mine.sum() / whole:.1%} of revenue against {theirs.sum() / whole:.1%} of {said} over "
            f"{rules.judged_months} months, better in {chance:.1%} of bootstrap draws (asked for: {rules.confidence:.0%})"
        ),
        shows_signal=True,
    )


def _covered(months: pl.DataFrame, rules: RevenueGates) -> Gate:
    """Ask that ranges hold as often as they say; months of neighbouring origins overlap, so each month counts once."""
    inside = months["actual"].is_between(months["lo-80"], months["hi-80"])
    found, count = float(inside.mean() or 0.0), months["month"].n_unique()  # type: ignore[arg-type]
    low = float(binom.ppf(CHANCE, count, rules.coverage_min)) / count
    high = float(binom.ppf(1 - CHANCE, count, rules.coverage_max)) / count
    return Gate(
        name="ranges hold",
        passed=low <= found <= high,
        sentence=(
            f"80 % ranges held {found:.0%} of the company's months (asked for: {rules.coverage_min:.0%} to "
            f"{rules.coverage_max:.0%}, of {count} months by chance {low:.0%} to {high:.0%})"
        ),
    )


def revenue_verdict(gates: list[Gate]) -> str:
    """Say in a sentence whether the version may be served, and if not why and what is served instead."""
    said = verdict(gates)
    return said if all(gate.passed for gate in gates) else f"{said}; the usual weights and ranges are served"
