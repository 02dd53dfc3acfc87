"""Whether alerts and next products tell more than what is simple, on held-out time; what does not is not given."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import norm, rankdata

from forecast.accounts.alerts import AlertKind, alert_population
from forecast.accounts.scoring import NEXT_PRODUCTS, usual_gaps
from forecast.accounts.wording import evidence_sentence
from forecast.customers import CustomerHistory
from forecast.estimators.next_products import basket_matrix, best_places, fit_companions, next_products
from forecast.metrics import Floats, chance_of_gain
from training.tier_config import TierGates
from training.value_fit import Lesson

CUSTOMERS_MIN = 30


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """How well an alert, or next products, did on held-out time.

    Attributes:
        customers: that could be judged by.
        ours, simple: AUC of who does not buy, against days since the last order; or days that the next order was off,
            against the rhythm of all; or how many of the products proposed each account bought, against those bought most.
        chance: that ours is better than what is simple.
        passed: whether it is given.
        enough: whether there was enough to judge by; the figures say nothing where not.
    """

    kind: str
    customers: int
    ours: float
    simple: float
    chance: float
    passed: bool
    enough: bool = True

    @property
    def sentence(self) -> str:
        """The finding."""
        return finding_sentence(self.kind, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Give the evidence as JSON values."""
        return asdict(self)


def judge_tier_evidence(
    past: CustomerHistory, held: Lesson, probability: Floats, rules: TierGates, *, seed: int
) -> dict[str, Evidence]:
    """Judge every alert and next products on the held-out part; `probability` of buying as predicted before it."""
    features = held.features.with_columns(pl.Series("urgency", 1 - probability))
    return {
        "churn_risk": _leaving("churn_risk", features, held, rules),
        "dormant_again": _leaving("dormant_again", features, held, rules),
        "overdue": _overdue(past, held, rules, seed),
        "next_products": _next_products(past, held, rules, seed),
    }


def _leaving(kind: AlertKind, features: pl.DataFrame, held: Lesson, rules: TierGates) -> Evidence:
    """Compare the probability of buying with days since the last order, in telling who does not buy."""
    judged = (
        features.with_columns(
            pl.Series("lost", 1 - held.outcomes["active"]),
            pl.col("recency_days").cast(pl.Float64).alias("days"),
        )
        .filter(alert_population(kind, horizon_days=held.horizon_days))
        .select("lost", "urgency", "days")
    )
    lost, urgency, days = (judged[name].to_numpy() for name in judged.columns)
    if min(lost.sum(), len(lost) - lost.sum()) < CUSTOMERS_MIN:
        return too_few(kind, len(lost))
    ours, simple, chance = chance_of_higher_auc(lost, urgency, days)
    return weighed(kind, len(lost), (ours, simple), chance, rules)


def _placements(lost: Floats, urgency: Floats) -> tuple[Floats, Floats]:
    """Give, for each lost customer, the share of the others that is less urgent, and for each other likewise."""
    gone, ranks = lost == 1, rankdata(urgency)
    others = (~gone).sum()
    above = (ranks[gone] - rankdata(urgency[gone])) / others
    below = 1 - (ranks[~gone] - rankdata(urgency[~gone])) / gone.sum()
    return np.asarray(above), np.asarray(below)


def chance_of_higher_auc(lost: Floats, ours: Floats, theirs: Floats) -> tuple[float, float, float]:
    """Give both AUC and the chance that ours is the higher (DeLong, DeLong and Clarke-Pearson 1988)."""
    (above, below), (above_theirs, below_theirs) = (_placements(lost, urgency) for urgency in (ours, theirs))
    apart = above - above_theirs, below - below_theirs
    spread = np.sqrt(sum(float(part.var(ddof=1)) / len(part) for part in apart))
    gain = float(apart[0].mean())
    chance = float(norm.cdf(gain / spread)) if spread > 0 else 0.5
    return float(above.mean()), float(above_theirs.mean()), chance


def _overdue(past: CustomerHistory, held: Lesson, rules: TierGates, seed: int) -> Evidence:
    """Compare the customer's own rhythm with that of all, in telling the day of the next order of those who ordered.

    Neither may name a day that is past: who was silent for longer is expected on the first day.
    """
    mean, _, _ = usual_gaps(held.features)
    rhythmic = alert_population("overdue", horizon_days=held.horizon_days)
    judged = held.features.with_columns(pl.Series("own", mean)).filter(rhythmic)
    later = past.orders.filter((pl.col("ordered_at") >= held.as_of) & (pl.col("amount") >= 0))
    days = (pl.col("ordered_at").min() - pl.lit(held.as_of)).dt.total_days()
    ordered = judged.join(later.group_by("account_id").agg(ahead=days), on="account_id", maintain_order="left")
    if ordered.height < CUSTOMERS_MIN:
        return too_few("overdue", ordered.height)
    usual = judged["own"].median()
    recency, ahead = (ordered[name].cast(pl.Float64).to_numpy() for name in ("recency_days", "ahead"))
    expected = (ordered["own"].to_numpy(), np.full(ordered.height, usual))
    ours, simple = (np.abs(np.maximum(gap - recency, 0) - ahead) for gap in expected)
    chance = chance_of_gain(ours, simple, np.arange(len(ours)), seed)
    return weighed("overdue", len(ours), (ours.mean(), simple.mean()), chance, rules)


def _next_products(past: CustomerHistory, held: Lesson, rules: TierGates, seed: int) -> Evidence:
    """Compare with the products bought most, in proposing what accounts buy for the first time."""
    known = past.lines.filter(pl.col("happened_at") < held.as_of).select("account_id", "product_id")
    later = past.lines.filter(pl.col("happened_at") >= held.as_of).select("account_id", "product_id").unique()
    pair = ["account_id", "product_id"]
    new = later.join(known, on=pair, how="anti").join(known.select("account_id").unique(), on="account_id", how="semi")
    accounts = new["account_id"].unique().sort()
    if len(accounts) < CUSTOMERS_MIN:
        return too_few("next_products", len(accounts))
    companions = fit_companions(known)
    proposed = next_products(companions, known, count=NEXT_PRODUCTS).select(pair)
    baskets = basket_matrix(known, accounts, companions.products).toarray()
    popular = best_places(companions.popularity - 2 * baskets, NEXT_PRODUCTS)
    most = pl.DataFrame(
        {
            "account_id": accounts.gather(np.repeat(np.arange(len(accounts)), popular.shape[1])),
            "product_id": pl.Series(companions.products, dtype=pl.String).gather(popular.ravel()),
        }
    )
    ours, simple = _hits(proposed, new, accounts), _hits(most, new, accounts)
    chance = chance_of_gain(-ours, -simple, np.arange(len(ours)), seed)
    return weighed("next_products", len(accounts), (ours.mean(), simple.mean()), chance, rules)


def _hits(proposed: pl.DataFrame, new: pl.DataFrame, accounts: pl.Series) -> Floats:
    """Count the proposed products that each account then bought."""
    hits = proposed.join(new, on=["account_id", "product_id"], how="semi").group_by("account_id").len()
    joined = pl.DataFrame({"account_id": accounts}).join(hits, on="account_id", how="left", maintain_order="left")
    return joined["len"].fill_null(0).cast(pl.Float64).to_numpy()


def weighed(kind: str, count: int, figures: tuple[float, float], chance: float, rules: TierGates) -> Evidence:
    """Decide by the chance of being better than what is simple; `figures` are ours and the simple one's."""
    ours, simple = (float(figure) for figure in figures)
    passed = chance >= rules.confidence
    return Evidence(kind=kind, customers=count, ours=ours, simple=simple, chance=chance, passed=passed)


def too_few(kind: str, count: int) -> Evidence:
    """Say that there is too little to judge by."""
    return Evidence(kind=kind, customers=count, ours=0.0, simple=0.0, chance=0.0, passed=False, enough=False)


def finding_sentence(kind: str, found: Mapping[str, Any]) -> str:
    """Say a finding in English, and whether it is given."""
    return evidence_sentence(kind, found, "en") + ("" if found["passed"] else "; not given")


def evidence_section(evidence: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the part of the card."""
    if not evidence:
        return ""
    lines = [f"- {kind}: {finding_sentence(kind, found)}." for kind, found in evidence.items()]
    return "## Alerts, next products and prospects, against what is simple\n\n" + "\n".join(lines)
