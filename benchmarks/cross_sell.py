"""Judge next products by the command line: how many of those proposed are bought, against those bought most."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.product import run_forecast
from forecast.demo import simulate_company
from forecast.registry import get_live_version

PROPOSED = 5
DRAWS = 2000
UNTIL = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class ProductSet:
    """Orders with their lines, of which those at or after `cut` judge for `horizon_days`.

    Attributes:
        orders: `id, account_id, ordered_at, amount`.
        lines: `id, order_id, product_id`.
        products: `id, name`.
    """

    orders: pl.DataFrame
    lines: pl.DataFrame
    products: pl.DataFrame
    cut: date
    horizon_days: int


def judge_next_products(name: str, folder: Path) -> dict[str, Any]:
    """Import everything, train and score as of the cut, and count which new products accounts then bought."""
    product_set = PRODUCT_SETS[name](folder)
    if product_set is None:
        return {"name": name, "absent": True}
    moment = ["--as-of", product_set.cut.isoformat()]
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as made:
        home = Path(made)
        for kind in ("products", "orders", "lines"):
            path = home / f"{kind}.csv"
            getattr(product_set, kind).write_csv(path)
            run_forecast(home, "import", str(path), "--as", {"lines": "order_line"}.get(kind, kind.removesuffix("s")))
        horizon = ["--horizon", f"{product_set.horizon_days}d"]
        run_forecast(home, "train", "customer_tier", *moment, *horizon)
        run_forecast(home, "score", "customer_tier", *moment, "--out", str(home / "scores.csv"))
        scores = pl.read_csv(home / "scores.csv", infer_schema=False)
        evidence = get_live_version(home / "models", "customer_tier").bundle["evidence"]["next_products"]
    return {"name": name, "evidence": evidence, **_compare(product_set, _proposals(scores))}


def _proposals(scores: pl.DataFrame) -> dict[str, list[str]]:
    given = scores.select("account_id", "next_products").iter_rows()
    return {account: [one["product_id"] for one in json.loads(found)] for account, found in given}


def _compare(product_set: ProductSet, proposals: Mapping[str, list[str]]) -> dict[str, Any]:
    """Count hits of accounts with proposals that bought something new, and of the products most accounts had bought."""
    had, new = _bought(product_set)
    counts = had.group_by("product_id").len().sort("len", "product_id", descending=[True, False])
    order = counts["product_id"].to_list()
    owned, later = (_by_account(frame) for frame in (had, new))
    hits = []
    for account, bought in later.items():
        if proposals.get(account):
            popular = [one for one in order if one not in owned[account]][:PROPOSED]
            hits.append((len(bought & set(proposals[account])), len(bought & set(popular))))
    if not hits:
        return {"accounts": len(later), "given": False}
    ours, simple = np.array(hits, dtype=np.float64).T
    draws = np.random.default_rng(0).integers(0, len(hits), (DRAWS, len(hits)))
    lifts = ours[draws].mean(axis=1) / np.maximum(simple[draws].mean(axis=1), 1e-9)
    return {
        "accounts": len(hits),
        "given": True,
        "hits": float(ours.mean()),
        "hits_of_popular": float(simple.mean()),
        "lift": float(ours.mean() / simple.mean()),
        "lift_low": float(np.quantile(lifts, 0.1)),
        "lift_high": float(np.quantile(lifts, 0.9)),
    }


def _bought(product_set: ProductSet) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the account and product of what was bought before the cut, and of what was bought for the first time after."""
    day = pl.col("ordered_at").dt.date()
    end = product_set.cut + timedelta(days=product_set.horizon_days)
    orders = product_set.orders.select("account_id", day, order_id="id")
    pairs = product_set.lines.join(orders, on="order_id").select("account_id", "product_id", "ordered_at")
    had = pairs.filter(pl.col("ordered_at") < product_set.cut).unique(["account_id", "product_id"])
    later = pairs.filter(pl.col("ordered_at").is_between(product_set.cut, end, closed="left"))
    new = later.join(had, on=["account_id", "product_id"], how="anti").join(had, on="account_id", how="semi")
    return had, new


def _by_account(pairs: pl.DataFrame) -> dict[str, set[str]]:
    found = pairs.group_by("account_id", maintain_order=True).agg("product_id").iter_rows()
    return {account: set(products) for account, products in found}


def _adventureworks(folder: Path) -> ProductSet | None:
    """Read what resellers ordered (invented): three years, the last half a year judges."""
    path = folder / "exports" / "adventureworks" / "FactResellerSales.parquet"
    if not path.exists():
        return None
    sales = pl.read_parquet(path).select(
        order_id="SalesOrderNumber",
        account_id=pl.format("R{}", "ResellerKey"),
        product_id=pl.format("P{}", "ProductKey"),
        ordered_at=pl.col("OrderDate").cast(pl.Datetime("us")),
        amount=pl.col("SalesAmount").cast(pl.Float64),
    )
    orders = sales.group_by(id="order_id", maintain_order=True).agg(
        pl.col("account_id", "ordered_at").first(), pl.col("amount").sum()
    )
    lines = sales.select("order_id", "product_id").with_row_index("id", offset=1)
    products = sales.select(id="product_id").unique(maintain_order=True).with_columns(name="id")
    last = orders["ordered_at"].dt.date().max()
    cut = (last if isinstance(last, date) else UNTIL.date()) - timedelta(days=180)
    return ProductSet(orders=orders, lines=lines, products=products, cut=cut, horizon_days=180)


def _simulated(_: Path) -> ProductSet:
    company = simulate_company(1, UNTIL)
    return ProductSet(
        orders=company.orders.select("id", "account_id", "ordered_at", "amount"),
        lines=company.order_lines.select("id", "order_id", "product_id"),
        products=company.products.select("id", "name"),
        cut=UNTIL.date() - timedelta(days=180),
        horizon_days=180,
    )


PRODUCT_SETS: Mapping[str, Callable[[Path], ProductSet | None]] = {
    "adventureworks_products": _adventureworks,
    "simulated_products": _simulated,
}
