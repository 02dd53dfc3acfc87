"""Find custom fields of accounts that look as if they knew what was bought later, before anything is learnt from them."""

from dataclasses import replace

import numpy as np
import polars as pl

from forecast.customers import CUSTOM_PREFIX, CustomerHistory
from forecast.insight.leaks import AUC_SUSPICIOUS, find_deciding_levels, separation
from forecast.metrics import Floats, auc
from training.value_fit import Lesson

AUC_NEVER_SUSPICIOUS = 0.75


def told_by_purchases(held: Lesson) -> float:
    """Give the AUC by which purchases so far tell who buys: by buying rate or by recency, whichever is the better."""
    active, weight = held.outcomes["active"], np.ones(held.features.height)
    recency = held.features["recency_days"].cast(pl.Float64).to_numpy()
    return max(auc(active, held.given["active"], weight), auc(active, -recency, weight), AUC_NEVER_SUSPICIOUS)


def leaking_fields(features: pl.DataFrame, active: Floats, *, auc_max: float = AUC_SUSPICIOUS) -> dict[str, str]:
    """Give the custom fields that alone tell too well who bought, each with the reason.

    Values of exports without history are those of today: a field such as "churned" or "type: customer" tells the past its
    future.

    Args:
        features: of accounts, with custom fields.
        active: whether each bought afterwards.
        auc_max: more than this is suspicious.
    """
    found = {}
    for name in features.select(f"^{CUSTOM_PREFIX}.*$").columns:
        reason = _reason(features[name], active, auc_max)
        if reason:
            found[name] = reason
    return found


def _reason(column: pl.Series, active: Floats, auc_max: float) -> str:
    if column.null_count() == len(column) or len(np.unique(active)) < 2:
        return ""
    told = separation(column, active)
    if told > auc_max:
        return f"alone it tells who buys with an AUC of {told:.3f}, above {auc_max:.3f}"
    shares = find_deciding_levels(column, active)
    if shares is None:
        return ""
    return f"{shares[0]:.0%} of buyers and {shares[1]:.0%} of others have a value that hardly any of the others has"


def without_fields(history: CustomerHistory, fields: dict[str, str]) -> CustomerHistory:
    """Give the history without custom fields of accounts."""
    kept = history.account_changes.filter(~pl.col("field").is_in(list(fields)))
    return replace(history, accounts=history.accounts.drop(list(fields)), account_changes=kept)


def left_out(fields: dict[str, str]) -> list[str]:
    """Say of each field that it is left out, and why."""
    return [f"{name.removeprefix(CUSTOM_PREFIX)} of accounts is left out: {why}" for name, why in fields.items()]
