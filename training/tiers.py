"""The order of a training run of customer tiers, and its release."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from forecast.accounts.reading import read_customers
from forecast.accounts.scoring import MEASURED, middle_customer, season_seen, value_customers
from forecast.accounts.tiers import find_yardsticks
from forecast.customers import CustomerHistory, cut_customers, unusual_silence
from forecast.errors import TooLittleHistoryError
from forecast.estimators.value import BANDED, Bands, Target, ValueModel
from forecast.features.customers import customer_features
from forecast.metrics import Floats
from forecast.registry import PRIOR_SUFFIX, Version
from forecast.settings import Settings
from forecast.store import unit_of_work
from training.card import compose_card, gates_section, warnings_section
from training.gates import Gate
from training.prospect_fit import prospect_leaks, train_prospects
from training.release import Release, release_run
from training.tier_config import TierExperiment
from training.tier_evidence import Evidence, evidence_section, judge_tier_evidence
from training.tier_gates import JudgedCustomers, decide_tier_gates, measure_tiers, tier_verdict
from training.tier_guard import leaking_fields, left_out, told_by_purchases, without_fields
from training.tracking import Report
from training.value_fit import (
    Lesson,
    fit_bands,
    fit_baseline,
    fit_value_model,
    lesson_moments,
    read_lesson,
)

HORIZON_DAYS_MIN = 14
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class TierRun:
    """What a training run found; `prior` serves buying rate and purchase value alone."""

    prior: Version[ValueModel]
    verdict: str
    warnings: list[str]
    features: pl.DataFrame
    candidate: Version[ValueModel] | None = None
    gates: list[Gate] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def promotable(self) -> bool:
        """Whether the candidate passed every gate."""
        return self.candidate is not None and all(gate.passed for gate in self.gates)


def train_tiers(
    history: CustomerHistory,
    experiment: TierExperiment,
    *,
    until: datetime,
    horizon_days: int | None,
    version_id: str,
    step: Callable[[str], None],
) -> TierRun:
    """Train, judge and describe a version; nothing that was not known at `until` is used.

    Args:
        history: of customers.
        experiment: the whole of config.toml.
        until: the moment of training.
        horizon_days: instead of the experiment's.
        version_id: of the version.
        step: hears the name of each step.

    Raises:
        TooLittleHistoryError: nobody had bought before `until`.
    """
    past = cut_customers(history, until)
    step("looking at purchases")
    run = _prior_run(past, experiment, until, horizon_days, version_id)
    prior = run.prior.estimator
    horizon = prior.horizon_days

    step("judging on the newest part")
    held = _held_out(past, experiment, until, horizon)
    if held is not None:
        leaks = prospect_leaks(past, held.as_of, until=until) | leaking_fields(
            held.features, held.outcomes["active"], auc_max=told_by_purchases(held)
        )
        run = replace(run, warnings=[*run.warnings, *left_out(leaks)])
        past, held = without_fields(past, leaks), replace(held, features=held.features.drop(list(leaks)))
    before = _lessons(past, held.as_of, held.horizon_days, experiment) if held else []
    if held is None or not any(lesson.outcomes["revenue"].any() for lesson in before):
        return replace(run, verdict=_too_little(experiment))
    judged, plain_share = _judge(before, held, experiment)
    prospects, finding = train_prospects(
        past, experiment, until=until, held_from=held.as_of, horizon_days=horizon, unit=prior.baseline.level
    )
    evidence = _evidence(past, held, judged, experiment, {"prospects": finding})
    gates = decide_tier_gates(judged, experiment.gates, experiment.seed, learnable=season_seen(past, held.as_of))
    metrics = measure_tiers(judged)

    step("fitting on everything")
    lessons = _lessons(past, until, horizon, experiment)
    fitted = fit_value_model(lessons, prior.baseline, experiment.recipe, horizon_days=horizon)
    model = replace(fitted, plain_share=plain_share, bands=_bands_of(judged.ours, judged.actual))
    shared = {"prospects": prospects.to_json() if prospects else None, "warnings": run.warnings}
    findings = {
        "gates": [gate.to_json() for gate in gates],
        "metrics": dict(metrics),
        "choice": {"plain_share": plain_share},
        "evidence": evidence["own"],
        "yardsticks": _yardsticks(past, model, experiment, until),
        "middle": middle_customer(run.features, model),
    }
    return replace(
        run,
        gates=gates,
        metrics=metrics,
        verdict=tier_verdict(gates),
        prior=replace(
            run.prior,
            estimator=replace(prior, bands=_bands_of(judged.baseline, judged.actual)),
            bundle={**run.prior.bundle, **shared, "evidence": evidence["prior"]},
        ),
        candidate=replace(
            run.prior,
            version=version_id,
            basis="own",
            estimator=model,
            bundle={**run.prior.bundle, **shared, **findings},
        ),
    )


def _prior_run(
    past: CustomerHistory, experiment: TierExperiment, until: datetime, horizon_days: int | None, version_id: str
) -> TierRun:
    """Fit buying rate and purchase value alone, and say what a reader must know of the history."""
    horizon, warnings = _horizon(past, experiment, until, horizon_days)
    features = customer_features(past, until, horizon_days=horizon)
    warnings = [*past.warnings, *warnings, *_silence(past, until)]
    if not season_seen(past, until):
        warnings.append("level not learnable: less than a year is stored, so the season ahead was never seen")
    prior = ValueModel(baseline=fit_baseline(features), horizon_days=horizon)
    if prior.baseline.rate.trouble:
        warnings.append(f"{prior.baseline.rate.trouble}; a rate without leaving (NBD) stands in for it")
    bundle = _bundle(past, experiment, until, features, horizon) | {"warnings": warnings}
    version = Version(
        name=experiment.name,
        version=f"{version_id}{PRIOR_SUFFIX}",
        basis="prior",
        estimator=prior,
        bundle=bundle
        | {"yardsticks": _yardsticks(past, prior, experiment, until), "middle": middle_customer(features, prior)},
    )
    return TierRun(prior=version, verdict="", warnings=warnings, features=features)


def _evidence(
    past: CustomerHistory,
    held: Lesson,
    judged: JudgedCustomers,
    experiment: TierExperiment,
    others: Mapping[str, Evidence],
) -> dict[str, dict[str, Any]]:
    """Judge alerts and next products, by basis of the version that would give them; with findings of others."""
    predicted = {"own": judged.ours["active"], "prior": judged.baseline["active"]}
    return {
        basis: {
            kind: found.to_json()
            for kind, found in {
                **judge_tier_evidence(past, held, probability, experiment.gates, seed=experiment.seed),
                **others,
            }.items()
        }
        for basis, probability in predicted.items()
    }


def _bands_of(predicted: Mapping[Target, Floats], actual: Mapping[Target, Floats]) -> dict[str, Bands]:
    return {name: fit_bands(predicted[name], actual[name]) for name in BANDED}


def _yardsticks(
    past: CustomerHistory, model: ValueModel, experiment: TierExperiment, until: datetime
) -> dict[str, float]:
    features, values = value_customers(past, model, until)
    customers = values.hstack(features.select(MEASURED))
    return find_yardsticks(customers, experiment.tiers, horizon_days=model.horizon_days).to_json()


def _horizon(
    past: CustomerHistory, experiment: TierExperiment, until: datetime, asked: int | None
) -> tuple[int, list[str]]:
    first = past.first_day
    if first is None:
        raise TooLittleHistoryError(
            f"no order of a known customer and moment before {until.isoformat()} is stored, so there is nothing to learn "
            "from; import orders with account_id, ordered_at and amount"
        )
    if not (past.orders["amount"] > 0).any():
        raise TooLittleHistoryError(
            f"none of the {past.orders.height} orders before {until.isoformat()} has an amount above 0, so there is no value "
            "to learn; import them with their amounts"
        )
    stored = (until - first) // DAY
    if asked is not None:
        told = f"the horizon of {asked} days is longer than the {stored} days that are stored: what lies beyond is extrapolated"
        return asked, [told] if asked > stored else []
    if stored >= 2 * experiment.horizon_days:
        return experiment.horizon_days, []
    shorter = max(HORIZON_DAYS_MIN, stored // 2)
    return shorter, [f"only {stored} days are stored: the horizon is {shorter} days, not {experiment.horizon_days}"]


def _silence(past: CustomerHistory, until: datetime) -> list[str]:
    newest = unusual_silence(past, until)
    if newest is None:
        return []
    told = (
        f"the newest order is of {newest:%Y-%m-%d}, {(until - newest) // DAY} days before: all customers count as silent since "
        f"then; if later orders are not imported, train and score with --as-of {newest + DAY:%Y-%m-%d}"
    )
    return [told]


def _held_out(past: CustomerHistory, experiment: TierExperiment, until: datetime, horizon: int) -> Lesson | None:
    """Give the customers at the moment that divides the history, and what they bought since; None where too few."""
    first = past.first_day
    days = min(horizon, int((until - first) / DAY * experiment.data.held_out)) if first else 0
    if days < 1:
        return None
    held = read_lesson(past, until - days * DAY, horizon_days=days)
    enough = experiment.data
    if held is None or held.features.height < enough.customers_min:
        return None
    return held if held.outcomes["active"].sum() >= enough.buyers_min else None


def _lessons(past: CustomerHistory, until: datetime, horizon: int, experiment: TierExperiment) -> list[Lesson]:
    known, first = cut_customers(past, until), past.first_day or until
    moments = lesson_moments(first, until, horizon_days=horizon, cuts=experiment.fit.cuts)
    found = [read_lesson(known, moment, horizon_days=days) for moment, days in moments]
    return [lesson for lesson in found if lesson is not None]


def _judge(before: list[Lesson], held: Lesson, experiment: TierExperiment) -> tuple[JudgedCustomers, float]:
    """Predict the held-out part from the lessons before it, with the plain share of revenue that does best."""
    model = fit_value_model(before, held.baseline, experiment.recipe, horizon_days=held.horizon_days)
    count = {name: held.features[name].cast(pl.Float64).to_numpy() for name in ("recent_spent", "recency_days")}
    judged = {
        share: JudgedCustomers(
            actual=held.outcomes,
            ours=replace(model, plain_share=share).predict_all(held.features),
            baseline=held.given,
            last_period=count["recent_spent"],
            recency_days=count["recency_days"],
        )
        for share in experiment.fit.plain_shares
    }
    best = min(judged, key=lambda share: _loss(judged[share]))
    return judged[best], best


def _loss(judged: JudgedCustomers) -> float:
    """Give what is chosen by: deviance of revenue, log loss of buying and absolute error of revenue, added up."""
    return float(np.mean(judged.losses(judged.ours) + judged.absolute_errors(judged.ours)))


def _too_little(experiment: TierExperiment) -> str:
    needed = experiment.data
    return (
        f"not promoted: too little to judge by: {needed.customers_min} customers before the newest part of the history and "
        f"{needed.buyers_min} buyers in it are needed; buying rate and purchase value alone are served"
    )


def _bundle(
    past: CustomerHistory, experiment: TierExperiment, until: datetime, features: pl.DataFrame, horizon: int
) -> dict[str, Any]:
    orders = past.orders
    digest = hashlib.sha256(orders.hash_rows(seed=0).to_numpy().tobytes()).hexdigest()
    return {
        "until": until.isoformat(),
        "config": experiment.text,
        "policy": experiment.tiers.to_json(),
        "data": {
            "orders": orders.height,
            "customers": features.height,
            "first_order_at": str(orders["ordered_at"].min()),
            "last_order_at": str(orders["ordered_at"].max()),
            "horizon_days": horizon,
            "digest": digest,
        },
    }


def tier_report(run: TierRun, version: Version[ValueModel], models: Path) -> Report:
    """Tell of a version of customer tiers."""
    model = version.estimator
    sections = [
        _data(version),
        _buying(model),
        _figures(run),
        evidence_section(version.bundle.get("evidence", {})),
        gates_section(run.gates),
        warnings_section(run.warnings),
    ]
    rate = model.baseline.rate
    return Report(
        card=compose_card(version, run.verdict, models, sections),
        verdict=run.verdict,
        metrics=run.metrics,
        sample=run.features.head(20).cast({pl.Int64: pl.Float64}),
        parameters={**version.bundle.get("choice", {}), "r": rate.r, "alpha": rate.alpha, "a": rate.a, "b": rate.b},
    )


def _data(version: Version[ValueModel]) -> str:
    data = version.bundle["data"]
    period = f"{data['first_order_at'][:10]} to {data['last_order_at'][:10]}"
    lines = [
        f"- Nothing recorded at or after {version.bundle['until']} was used.",
        f"- {data['orders']} orders of {data['customers']} customers, {period}; horizon {data['horizon_days']} days.",
        f"- Digest of the orders: `{data['digest']}`.",
        f"- Basis: {version.basis}.",
    ]
    return "## Data\n\n" + "\n".join(lines)


def _buying(model: ValueModel) -> str:
    rate, value = model.baseline.rate, model.baseline.value
    name = "NBD" if rate.trouble else "BG/NBD"
    parameters = f"r {rate.r:.4f}, alpha {rate.alpha:.4f}, a {rate.a:.4f}, b {rate.b:.4f}"
    lines = [
        f"- {name} in weeks, log likelihood {rate.log_likelihood:.1f}: {parameters}.",
        f"- Gamma-gamma: p {value.p:.3f}, q {value.q:.3f}, gamma {value.gamma:.3f}.",
    ]
    return "## Buying rate and purchase value\n\n" + "\n".join(lines)


def _figures(run: TierRun) -> str:
    if not run.metrics:
        return ""
    rows = [f"| {name} | {value:.4f} |" for name, value in run.metrics.items()]
    return "## Accuracy on the newest part\n\n" + "\n".join(["| figure | |", "|---|---:|", *rows])


def train_and_register_tiers(
    engine: sa.Engine,
    settings: Settings,
    experiment: TierExperiment,
    *,
    models: Path,
    until: datetime,
    now: datetime,
    horizon_days: int | None,
    promote: bool,
    step: Callable[[str], None],
) -> Release[TierRun]:
    """Train on what was known at `until`, register the version, and serve it if `promote` and it passed its gates."""
    step("reading orders")
    with unit_of_work(engine) as session:
        history = read_customers(session, until=until)
    run = train_tiers(
        history,
        experiment,
        until=until,
        horizon_days=horizon_days,
        version_id=now.strftime("%Y%m%dT%H%M%S.%fZ"),
        step=step,
    )
    step("registering")
    return release_run(settings, run, lambda run, version: tier_report(run, version, models), now=now, promote=promote)
