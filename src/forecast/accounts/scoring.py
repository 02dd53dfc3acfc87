"""Customers and a version in; value, tier, potential and reasons out."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaincinv

from forecast.accounts.alerts import ALERT, PURCHASES_FOR_RHYTHM, find_alerts
from forecast.accounts.tiers import TierPolicy, Yardsticks, assign_tiers, find_yardsticks, potential
from forecast.customers import EVENTS, CustomerHistory, margin_shares
from forecast.estimators.next_products import fit_companions, next_products
from forecast.estimators.prospects import ProspectModel
from forecast.estimators.value import BANDED, SHAPES, Bands, ValueModel
from forecast.features.customers import YEAR_DAYS, customer_features
from forecast.features.prospects import prospect_features
from forecast.metrics import Floats
from forecast.moments import MICROSECONDS_A_DAY
from forecast.registry import Version

MONTH_DAYS = 30
NEXT_PRODUCTS = 5
MEASURED = ("tenure_days", "recency_days", "spent", "purchase_days")
"""The features that yardsticks are made of."""

REASONS_MAX = 5
REASON_MIN = 0.05
SHOWN: dict[str, str] = {
    "rhythm": "purchase_days", "value": "mean_value", "staying": "recency_days", "purchases": "purchase_days",
    "recency_share": "recency_days", "overdue": "recency_days", "orders_trend": "recent_purchases",
    "half_trend": "half_purchases", "spend_trend": "recent_spent", "last_value": "last_value",
    "largest_value": "max_value", "tenure": "tenure_days", "regularity": "gap_sd_days", "season": "season_purchases",
    "returns": "returned_amount", **{f"{kind}_count": f"{kind}_count" for kind in EVENTS},
    "breadth": "product_count", "satisfaction": "satisfaction", "open_wins": "open_wins",
}  # fmt: skip
"""The feature that people know, of each shape that a reason may name."""

_REASON = pl.Struct(
    {"feature": pl.String(), "value": pl.Float64(), "usual": pl.Float64(), "contribution": pl.Float64()}
)


_PROPOSAL = pl.Struct({"product_id": pl.String(), "because": pl.String(), "lift": pl.Float64()})


def score_customers(
    history: CustomerHistory,
    version: Version[ValueModel],
    *,
    as_of: datetime,
    yardsticks: Yardsticks | None = None,
) -> pl.DataFrame:
    """Score every account that bought before `as_of`, as it would have been scored then, and those that may buy first.

    Args:
        history: of customers; nothing at or after `as_of` enters a score.
        version: the model version.
        as_of: the moment.
        yardsticks: of tiers and potentials, where the history holds but a part of the customers; then reasons compare with
            the customers that the version was trained on.

    Returns:
        Columns as SCORE_TYPES, by account: probabilities 0-1; `…_low` and `…_high` bound 80 %; `reasons` are at most five
        {feature, value, usual of customers in the middle, contribution to the log of expected revenue}, strongest first;
        the next order from three purchases on; `level` is `learnt`, or `not learnable` where the season was never seen.
        Margins are missing where no cost is known; `next_products` and `alerts` are empty unless the version's evidence says
        that they proved better than what is simple.
    """
    policy = TierPolicy(**version.bundle["policy"])
    model = version.estimator
    features, values = value_customers(history, model, as_of)
    if features.is_empty():
        return pl.DataFrame(schema=SCORE_TYPES)
    customers = values.hstack(features.select(*MEASURED, "gap_max_days"))
    found = yardsticks or find_yardsticks(customers, policy, horizon_days=model.horizon_days)
    middle = version.bundle.get("middle") if yardsticks else None
    before = _earlier_tiers(history, model, policy, as_of, yardsticks)
    proven = proven_kinds(version)
    scored = customers.with_columns(
        assign_tiers(values, found, policy, before=before)["tier"],
        potential(policy, found, horizon_days=model.horizon_days).alias("potential"),
        *_next_orders(features, as_of),
        _reasons(features, model, middle or middle_customer(features, model)).alias("reasons"),
        **_circumstances(history if yardsticks is None else None, version, as_of),
        basis=pl.lit(version.basis),
        latest_gap_days=pl.Series(usual_gaps(features)[2]),
        **_margins(history, customers, as_of),
        next_products=_proposals(history, customers, as_of, proven),
    )
    alerts = find_alerts(scored, found, policy, horizon_days=model.horizon_days, kinds=proven)
    every = [scored.with_columns(alerts), _score_prospects(history, version, as_of, found)]
    chosen = [part.select(SCORE_TYPES.names()).cast(SCORE_TYPES) for part in every if not part.is_empty()]
    return pl.concat(chosen).sort("account_id")


def _score_prospects(
    history: CustomerHistory, version: Version[ValueModel], as_of: datetime, yardsticks: Yardsticks
) -> pl.DataFrame:
    """Score accounts that have not bought yet, where the version learnt from such; without reasons, alerts and margin."""
    fitted = version.bundle.get("prospects")
    if fitted is None:
        return pl.DataFrame()
    model = ProspectModel.from_json(fitted)
    features = prospect_features(history, as_of, horizon_days=model.horizon_days)
    if features.is_empty():
        return features
    found = model.predict(features)
    bands = {target: model.bands[target].around(found[target]) for target in BANDED}
    numbers = {
        "probability_active": found["active"],
        **{f"expected_{target}": found[target] for target in BANDED},
        **{
            f"expected_{target}_{end}": bands[target][at] for target in BANDED for at, end in enumerate(("low", "high"))
        },
        "median_revenue": model.bands["revenue"].median(found["revenue"]),
    }
    values = features.select("account_id").with_columns(pl.Series(name, values) for name, values in numbers.items())
    missing = [name for name in SCORE_TYPES.names() if name.startswith(("expected_margin", "next_order"))]
    empty = {
        name: pl.Series(name, [[]], dtype=SCORE_TYPES[name]).first() for name in ("reasons", "alerts", "next_products")
    }
    return values.with_columns(
        assign_tiers(values, yardsticks, TierPolicy(**version.bundle["policy"]))["tier"],
        *(pl.lit(None).alias(name) for name in missing),
        *(pl.lit(value, dtype=SCORE_TYPES[name]).alias(name) for name, value in empty.items()),
        **_circumstances(history, version, as_of),
        potential=pl.lit("prospect"),
        overdue=pl.lit(value=False),
        basis=pl.lit(model.basis),
    )


def _circumstances(
    history: CustomerHistory | None, version: Version[ValueModel], as_of: datetime
) -> dict[str, pl.Expr]:
    """Give what all scores of a moment have in common; without the whole history, the season is that of the training."""
    if history is None:
        seen = _is_year_before(datetime.fromisoformat(version.bundle["data"]["first_order_at"]), as_of)
    else:
        seen = season_seen(history, as_of)
    return {
        "as_of": pl.lit(as_of).cast(pl.Datetime("us", "UTC")),
        "horizon_days": pl.lit(version.estimator.horizon_days, dtype=pl.Int64),
        "version": pl.lit(version.version),
        "level": pl.lit("learnt" if seen else "not learnable"),
    }


def proven_kinds(version: Version[ValueModel]) -> set[str]:
    """Tell which alerts, and whether next products, proved better than what is simple on held-out time."""
    return {kind for kind, found in version.bundle.get("evidence", {}).items() if found["passed"]}


def _margins(history: CustomerHistory, customers: pl.DataFrame, as_of: datetime) -> dict[str, pl.Series]:
    """Give the expected margin and its bounds: revenue times the customer's share; missing where no cost is known."""
    ends = {f"expected_margin{end}": customers[f"expected_revenue{end}"] for end in ("", "_low", "_high")}
    shares = margin_shares(history, as_of)
    if shares is None:
        return {name: pl.Series(name, [None] * customers.height, dtype=pl.Float64) for name in ends}
    usual = shares["usual"][0]
    joined = customers.select("account_id").join(shares, on="account_id", how="left", maintain_order="left")
    share = joined["margin_share"].fill_null(usual)
    margins = {name: revenue * share for name, revenue in ends.items()}
    low, high = margins["expected_margin_low"], margins["expected_margin_high"]
    bounds = pl.DataFrame({"low": low, "high": high}).select(
        expected_margin_low=pl.min_horizontal("low", "high"), expected_margin_high=pl.max_horizontal("low", "high")
    )
    return {"expected_margin": margins["expected_margin"], **bounds.to_dict()}


def _proposals(history: CustomerHistory, customers: pl.DataFrame, as_of: datetime, proven: set[str]) -> pl.Series:
    """Give each customer's next products, a list of {product_id, because, lift}."""
    bought = history.lines.filter(pl.col("happened_at") < as_of).select("account_id", "product_id")
    if "next_products" not in proven or bought.is_empty():
        return _none_of(_PROPOSAL, customers.height)
    found = next_products(fit_companions(bought), bought, count=NEXT_PRODUCTS)
    lists = found.group_by("account_id", maintain_order=True).agg(
        next_products=pl.struct("product_id", "because", "lift")
    )
    joined = customers.select("account_id").join(lists, on="account_id", how="left", maintain_order="left")
    return joined["next_products"].fill_null(_none_of(_PROPOSAL, 1))


def season_seen(history: CustomerHistory, as_of: datetime) -> bool:
    """Tell whether purchases of a whole year before `as_of` are known, so that the level of a season can be learnt."""
    first = history.first_day
    return first is not None and _is_year_before(first, as_of)


def _is_year_before(first: datetime, as_of: datetime) -> bool:
    return first <= as_of - timedelta(days=YEAR_DAYS)


SCORE_TYPES = pl.Schema(
    {
        "account_id": pl.String(),
        "as_of": pl.Datetime("us", "UTC"),
        "horizon_days": pl.Int64(),
        "probability_active": pl.Float64(),
        "expected_orders": pl.Float64(),
        "expected_orders_low": pl.Float64(),
        "expected_orders_high": pl.Float64(),
        "expected_revenue": pl.Float64(),
        "expected_revenue_low": pl.Float64(),
        "expected_revenue_high": pl.Float64(),
        "median_revenue": pl.Float64(),
        "expected_margin": pl.Float64(),
        "expected_margin_low": pl.Float64(),
        "expected_margin_high": pl.Float64(),
        "tier": pl.String(),
        "potential": pl.String(),
        "next_order_at": pl.Datetime("us", "UTC"),
        "next_order_low": pl.Datetime("us", "UTC"),
        "next_order_high": pl.Datetime("us", "UTC"),
        "overdue": pl.Boolean(),
        "reasons": pl.List(_REASON),
        "alerts": pl.List(ALERT),
        "next_products": pl.List(_PROPOSAL),
        "basis": pl.String(),
        "version": pl.String(),
        "level": pl.String(),
    }
)


def value_customers(history: CustomerHistory, model: ValueModel, as_of: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the features of every customer, and what is expected of each with its bounds; same rows."""
    features = customer_features(history, as_of, horizon_days=model.horizon_days)
    if features.is_empty():
        return features, features.select("account_id")
    found = model.predict_all(features)
    columns = [pl.Series("probability_active", found["active"])]
    for target in BANDED:
        low, high = model.intervals(target, found[target])
        columns += [
            pl.Series(f"expected_{target}{end}", bound)
            for end, bound in (("", found[target]), ("_low", low), ("_high", high))
        ]
    median = model.bands.get("revenue", Bands()).median(found["revenue"])
    return features, features.select("account_id", *columns, pl.Series("median_revenue", median))


def _earlier_tiers(
    history: CustomerHistory,
    model: ValueModel,
    policy: TierPolicy,
    as_of: datetime,
    yardsticks: Yardsticks | None,
) -> pl.DataFrame | None:
    """Replay the tiers of the months before, each held against the one before it."""
    held = None
    for month in range(policy.memory_months, 0, -1):
        features, values = value_customers(history, model, as_of - timedelta(days=MONTH_DAYS * month))
        if features.is_empty():
            continue
        customers = values.hstack(features.select(MEASURED))
        found = yardsticks or find_yardsticks(customers, policy, horizon_days=model.horizon_days)
        held = assign_tiers(values, found, policy, before=held)
    return held


def _next_orders(features: pl.DataFrame, as_of: datetime) -> list[pl.Expr]:
    """Expect the next order a usual gap after the last one, with bounds that 80 % of gaps keep; from three purchases on.

    `overdue`: even the upper bound is past.
    """
    known = (features["purchase_days"] >= PURCHASES_FOR_RHYTHM).to_numpy()
    recency = features["recency_days"].cast(pl.Float64).to_numpy()
    mean, low, high = usual_gaps(features)
    days = {"next_order_at": mean - recency, "next_order_low": low - recency, "next_order_high": high - recency}
    moments = [
        (pl.lit(as_of).cast(pl.Datetime("us", "UTC")) + _microseconds(ahead, known)).alias(name)
        for name, ahead in days.items()
    ]
    return [*moments, pl.lit(pl.Series("overdue", known & (high < recency)))]


def usual_gaps(features: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Give the mean days between a customer's purchases, and the bounds that 80 % of them keep.

    Gaps are taken as gamma-distributed with the customer's own mean and spread.
    """
    count, recency, tenure, spread = (
        features[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        for name in ("purchase_days", "recency_days", "tenure_days", "gap_sd_days")
    )
    mean = (tenure - recency) / np.maximum(count - 1, 1)
    shape = np.clip((mean / np.maximum(spread, 0.1 * np.maximum(mean, 1.0))) ** 2, 0.1, 100.0)
    low, high = (np.asarray(gammaincinv(shape, share)) * mean / shape for share in (0.1, 0.9))
    return mean, low, high


def _microseconds(days: Floats, known: NDArray[np.bool_]) -> pl.Expr:
    whole = pl.Series((days * MICROSECONDS_A_DAY).astype(np.int64)).cast(pl.Duration("us"))
    return pl.when(pl.Series(known)).then(pl.lit(whole))


def middle_customer(features: pl.DataFrame, model: ValueModel) -> dict[str, float]:
    """Give what customers in the middle have of all that reasons name; missing where nobody has any."""
    shown = features.select(pl.col(sorted(set(SHOWN.values()))).cast(pl.Float64).median()).row(0, named=True)
    return {**shown, **model.middle(features)}


def _reasons(features: pl.DataFrame, model: ValueModel, middle: Mapping[str, float]) -> pl.Series:
    """Give each customer's reasons, a list of {feature, value, usual, contribution}."""
    parts = model.explain(features, middle)
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :REASONS_MAX]
    rows, columns = np.repeat(np.arange(len(order)), order.shape[1]), order.ravel()
    shown = features.select(pl.col(SHOWN[shape]).cast(pl.Float64).alias(shape) for shape in SHAPES)
    named = pl.DataFrame(
        {
            "row": rows,
            "feature": pl.Series(SHAPES).gather(columns),
            "value": shown.to_numpy()[rows, columns],
            "usual": np.array([middle[SHOWN[shape]] for shape in SHAPES], dtype=np.float64)[columns],
            "contribution": parts[rows, columns],
        },
        nan_to_null=True,
    )
    told = named.filter(pl.col("contribution").abs() >= REASON_MIN).group_by("row", maintain_order=True)
    lists = told.agg(reasons=pl.struct("feature", "value", "usual", "contribution"))
    joined = pl.DataFrame({"row": np.arange(len(order))}).join(lists, on="row", how="left", maintain_order="left")
    return joined["reasons"].fill_null(_none_of(_REASON, 1))


def _none_of(kind: pl.Struct, count: int) -> pl.Series:
    """Give so many empty lists; from Python's own, each would be turned by itself."""
    return pl.Series([[]], dtype=pl.List(kind)).new_from_index(0, count)
