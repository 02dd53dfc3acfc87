"""Judge customer tiers by the command line on public purchases, and time the features of many customers."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.product import run_forecast
from forecast.customers import ATTRIBUTES, CustomerHistory
from forecast.estimators.buying import fit_buying_rate
from forecast.features.customers import customer_features
from forecast.metrics import auc

CUSTOMER_SETS = ("cdnow_sample", "cdnow_full", "online_retail")
ORDERS, QUICK_ORDERS = 20_000_000, 2_000_000
ORDERS_A_CUSTOMER = 20
TOP_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class CustomerSet:
    """Purchases by customer and day; what lies after `cut` is for judging, `earlier_cut` is a month before it."""

    name: str
    purchases: pl.DataFrame
    cut: date
    earlier_cut: date
    end: date

    @property
    def as_of(self) -> date:
        """The first day that is not known."""
        return self.cut + timedelta(days=1)

    @property
    def horizon_days(self) -> int:
        """Days that are judged."""
        return (self.end - self.cut).days


def find_customer_set(folder: Path, name: str) -> CustomerSet | None:
    """Read a set; None where the folder does not have it."""
    protocols = folder / "customers" / "protocols.json"
    if not protocols.exists():
        return None
    protocol = json.loads(protocols.read_text())[name]
    purchases = pl.read_parquet(protocols.with_name(protocol["file"])).select(
        pl.col("customer_id").cast(pl.String), pl.col("date").dt.date(), "spend"
    )
    cut, earlier, end = (date.fromisoformat(protocol[key]) for key in ("cut", "cut2", "end"))
    return CustomerSet(name=name, purchases=purchases, cut=cut, earlier_cut=earlier, end=end)


def judge_customers(customer_set: CustomerSet) -> dict[str, Any]:
    """Import the purchases as a bare file, train and score as of the cut, and compare with what came afterwards."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        home = Path(folder)
        customer_set.purchases.write_csv(home / "purchases.csv")
        run_forecast(home, "import", str(home / "purchases.csv"), "--as", "order")
        moment = ["--as-of", customer_set.as_of.isoformat()]
        horizon = ["--horizon", f"{customer_set.horizon_days}d"]
        seconds = run_forecast(home, "train", "customer_tier", *moment, *horizon)
        seconds += run_forecast(home, "score", "customer_tier", *moment, "--out", str(home / "now.csv"))
        earlier = (customer_set.earlier_cut + timedelta(days=1)).isoformat()
        run_forecast(home, "score", "customer_tier", "--as-of", earlier, "--out", str(home / "earlier.csv"))
        scores, before = (_read_scores(home / f"{name}.csv") for name in ("now", "earlier"))
    return {
        "name": customer_set.name,
        "seconds": seconds,
        **_accuracy(customer_set, scores),
        **_stability(customer_set, scores, before),
        **_buying_rate(customer_set),
    }


def _read_scores(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, schema_overrides={"account_id": pl.String()})


def _with_actual(customer_set: CustomerSet, scores: pl.DataFrame) -> pl.DataFrame:
    later = customer_set.purchases.filter(pl.col("date").is_between(customer_set.as_of, customer_set.end))
    spent = later.group_by(pl.col("customer_id").alias("account_id")).agg(actual=pl.col("spend").sum())
    return scores.join(spent, on="account_id", how="left", maintain_order="left").with_columns(
        pl.col("actual").fill_null(0.0)
    )


def _accuracy(customer_set: CustomerSet, scores: pl.DataFrame) -> dict[str, Any]:
    judged = _with_actual(customer_set, scores)
    actual, expected = judged["actual"], judged["expected_revenue"]
    inside = (actual >= judged["expected_revenue_low"]) & (actual <= judged["expected_revenue_high"])
    return {
        "customers": judged.height,
        "capture_20": _capture(judged, round(TOP_SHARE * judged.height)),
        "auc": auc((actual > 0).cast(pl.Float64).to_numpy(), judged["probability_active"].to_numpy()),
        "absolute_error": float(np.abs((actual - expected).to_numpy()).mean()),
        "median_absolute_error": float(np.abs((actual - judged["median_revenue"]).to_numpy()).mean()),
        "total_ratio": float(expected.sum() / actual.sum()),
        "coverage_80": float(inside.to_numpy().mean()),
        "level": scores["level"][0],
    }


def _capture(judged: pl.DataFrame, count: int) -> float:
    """Give the share of what was spent that so many accounts of the highest expected revenue carry."""
    top = judged.sort("expected_revenue", descending=True, maintain_order=True).head(count)
    return float(top["actual"].sum() / judged["actual"].sum())


def _stability(customer_set: CustomerSet, scores: pl.DataFrame, before: pl.DataFrame) -> dict[str, float]:
    """Tell how many customers changed tier in a month, and what tier A carries less than as many of the highest value."""
    pairs = scores.select("account_id", "tier").join(before.select("account_id", was="tier"), on="account_id")
    judged = _with_actual(customer_set, scores)
    held = judged.filter(pl.col("tier") == "A")
    return {
        "tier_changes": float((pairs["tier"] != pairs["was"]).to_numpy().mean()),
        "capture_lost": _capture(judged, held.height) - float(held["actual"].sum() / judged["actual"].sum()),
    }


def _buying_rate(customer_set: CustomerSet) -> dict[str, Any]:
    known = customer_set.purchases.filter(pl.col("date") <= customer_set.cut).group_by("customer_id")
    days = known.agg(repeats=pl.col("date").n_unique() - 1, first=pl.col("date").min(), last=pl.col("date").max())
    weeks = {
        name: (expression.dt.total_days() / 7)
        for name, expression in {
            "last": pl.col("last") - pl.col("first"),
            "age": pl.lit(customer_set.cut) - pl.col("first"),
        }.items()
    }
    given = days.select(pl.col("repeats").cast(pl.Float64), **weeks)
    found = fit_buying_rate(*(given[name].to_numpy() for name in ("repeats", "last", "age")))
    return {f"bg_nbd_{name}": value for name, value in found.to_json().items()}


def features_speed(orders: int) -> list[dict[str, Any]]:
    """Time the features of a tenth and of all orders, each in a process of its own."""
    found = []
    for count in (orders // 10, orders):
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.customers", str(count)], capture_output=True, text=True, check=True
        )
        found.append(json.loads(ended.stdout))
    return found


def _time_features(count: int) -> dict[str, Any]:
    history = _many_orders(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    features = customer_features(history, datetime(2024, 1, 1, tzinfo=UTC), horizon_days=180)
    return {
        "orders": count,
        "customers": features.height,
        "seconds": round(time.perf_counter() - started, 2),
        "orders_gigabytes": round(before / 2**20, 2),
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _many_orders(count: int) -> CustomerHistory:
    """Draw orders of three years, sorted by account and moment."""
    draw = np.random.default_rng(0)
    moment = pl.Datetime("us", "UTC")
    first = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp())
    seconds = pl.Series(draw.integers(first, first + 3 * 365 * 86_400, count))
    account = pl.Series(draw.integers(0, count // ORDERS_A_CUSTOMER, count))
    orders = (
        pl.DataFrame({"number": account, "second": seconds, "amount": draw.gamma(2, 50, count).round(2)})
        .sort("number", "second")
        .select(
            (pl.lit("A") + pl.col("number").cast(pl.String)).alias("account_id"),
            (pl.col("second") * 1_000_000).cast(moment).alias("ordered_at"),
            "amount",
        )
    )
    texts = dict.fromkeys(("account_id", "name", *ATTRIBUTES), pl.String())
    events = {"account_id": pl.String(), "happened_at": moment, "kind": pl.String()}
    return CustomerHistory(orders=orders, accounts=pl.DataFrame(schema=texts), events=pl.DataFrame(schema=events))


if __name__ == "__main__":
    print(json.dumps(_time_features(int(sys.argv[1]))))
