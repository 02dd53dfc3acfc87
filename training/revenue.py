"""The order of a training run of the revenue forecast, and its release."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from forecast.estimators.revenue import COMPANY, PERSON, RevenueModel, usual_model
from forecast.registry import PRIOR_SUFFIX, Version
from forecast.revenue.records import Sales, SalesRecords, read_sales
from forecast.revenue_records import read_sales_records
from forecast.settings import Settings
from forecast.store import unit_of_work
from training.card import compose_card, gates_section, warnings_section
from training.gates import Gate
from training.release import Release, release_run
from training.revenue_backtest import origins_before
from training.revenue_config import RevenueExperiment
from training.revenue_fit import fit_revenue_model, learn
from training.revenue_gates import METHODS, JudgedMonths, decide_revenue_gates, judge_origins, measure_revenue
from training.revenue_gates import revenue_verdict as gates_verdict
from training.tracking import Report

SAMPLE_ROWS = 20
SAMPLE_TYPES = pl.Schema(dict.fromkeys(("ahead", "actual", *METHODS), pl.Float64()))


@dataclass(frozen=True, kw_only=True)
class RevenueRun:
    """What a training run found; `prior` serves the usual weights and ranges."""

    prior: Version[RevenueModel]
    verdict: str
    warnings: list[str]
    candidate: Version[RevenueModel] | None = None
    judged: JudgedMonths | None = None
    gates: list[Gate] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def promotable(self) -> bool:
        """Whether the candidate passed every gate."""
        return self.candidate is not None and all(gate.passed for gate in self.gates)


def train_revenue(
    records: SalesRecords,
    experiment: RevenueExperiment,
    *,
    until: datetime,
    currency: str | None,
    version_id: str,
    step: Callable[[str], None],
) -> RevenueRun:
    """Try forecasts on the past, weigh both views by it, judge and describe a version; nothing later than `until` is used.

    Args:
        step: hears the name of each step.

    Raises:
        TooLittleHistoryError: nothing was known of sales before `until`.
    """
    sales, seed = read_sales(records, until, currency=currency), experiment.seed
    bundle, usual = _bundle(sales, experiment), usual_model(sales.announced_share)
    prior = Version(
        name=experiment.name, version=f"{version_id}{PRIOR_SUFFIX}", basis="prior", estimator=usual, bundle=bundle
    )
    warnings = list(sales.remarks)
    origins = origins_before(
        records,
        until,
        currency=currency,
        count=experiment.data.origins,
        horizon=experiment.horizon_months,
        seed=seed,
        step=step,
    )
    judgeable = [origin for origin in origins if np.isfinite(origin.company).any()]
    if len(judgeable) < experiment.data.origins_min:
        said = (
            f"not promoted: {len(judgeable)} earlier months can be judged, {experiment.data.origins_min} are needed; "
        )
        return RevenueRun(prior=prior, verdict=f"{said}the usual weights and ranges are served", warnings=warnings)

    step("judging")
    lessons = [learn(origin, seed=seed) for origin in judgeable]
    judged = judge_origins(lessons, seed=seed)
    gates = decide_revenue_gates(judged, experiment.gates, seed=seed)
    metrics = measure_revenue(judged, experiment.gates.judged_months)
    run = RevenueRun(
        prior=prior,
        verdict=gates_verdict(gates),
        warnings=warnings,
        judged=judged,
        gates=gates,
        metrics=metrics,
    )
    step("weighing on everything")
    findings = {"gates": [gate.to_json() for gate in gates], "metrics": metrics, "warnings": warnings}
    model = fit_revenue_model(lessons, until, usual=usual)
    candidate = replace(prior, version=version_id, basis="own", estimator=model, bundle=bundle | findings)
    return replace(run, candidate=candidate)


def _bundle(sales: Sales, experiment: RevenueExperiment) -> dict[str, Any]:
    hashed = [frame.hash_rows(seed=0).to_numpy().tobytes() for frame in (sales.booked, sales.deals)]
    digest = hashlib.sha256(b"".join(hashed)).hexdigest()
    return {
        "until": sales.as_of.isoformat(),
        "config": experiment.text,
        "data": {
            "booked": sales.booked.height,
            "first_booked_at": str(sales.booked["booked_at"].min()),
            "last_booked_at": str(sales.booked["booked_at"].max()),
            "open": sales.open_deals.height,
            "ended": sales.deals.height - sales.open_deals.height,
            "currency": sales.currency or "",
            "digest": digest,
        },
    }


def revenue_report(run: RevenueRun, version: Version[RevenueModel], models: Path) -> Report:
    """Tell of a version of the revenue forecast."""
    sections = [
        _data(version),
        _weights(version.estimator),
        _figures(run),
        gates_section(run.gates),
        warnings_section(run.warnings),
    ]
    seen = pl.DataFrame(schema=SAMPLE_TYPES) if run.judged is None else run.judged.months.select(list(SAMPLE_TYPES))
    return Report(
        card=compose_card(version, run.verdict, models, sections),
        verdict=run.verdict,
        metrics={**run.metrics, **_metrics_by_month(run)},
        sample=seen.head(SAMPLE_ROWS).cast(SAMPLE_TYPES),
        parameters=_settings(version) | _learnt(version.estimator),
        loaded_by=Path(__file__).with_name("revenue_pyfunc.py"),
    )


def _settings(version: Version[RevenueModel]) -> dict[str, object]:
    """Name what config.toml set: seed, horizon, trials and gates."""
    config = tomllib.loads(version.bundle["config"])
    alone = {name: config[name] for name in ("seed", "horizon_months")}
    return {**alone, **config["data"], **config["gates"]}


def _learnt(model: RevenueModel) -> dict[str, object]:
    return {
        f"{name}_{level}": ", ".join(f"{value:.2f}" for value in values)
        for name, of in (("series_share", model.series_shares), ("spread", model.spreads))
        for level, values in of.items()
    }


def _data(version: Version[RevenueModel]) -> str:
    data = version.bundle["data"]
    period = f"{data['first_booked_at'][:10]} to {data['last_booked_at'][:10]}"
    lines = [
        f"- Nothing recorded at or after {version.bundle['until']} was used.",
        f"- {data['booked']} sales were booked, {period}.",
        f"- {data['ended']} opportunities had ended, {data['open']} were open.",
        f"- Digest of the sales: `{data['digest']}`.",
        f"- Basis: {version.basis}.",
    ]
    return "## Data\n\n" + "\n".join(lines)


def _weights(model: RevenueModel) -> str:
    months = max(len(values) for of in (model.series_shares, model.spreads) for values in of.values())
    rows = [
        ["weight of the time series, company", model.series_share(COMPANY, months)],
        ["weight of the time series, persons", model.series_share(PERSON, months)],
        ["what strikes all sales together", model.spread(COMPANY, months)],
        ["what strikes one person's sales", model.spread(PERSON, months)],
    ]
    head = "| month ahead | " + " | ".join(str(month + 1) for month in range(months)) + " |"
    lines = [f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |" for name, values in rows]
    told = (
        "Month 1 is the one in which the forecast is made. Of a weight of 0.10 a tenth of the forecast is that of the time series, and the "
        "rest that of its parts. What strikes sales together is a factor that they have in common in each future; given is the standard "
        "deviation of its logarithm: 0.12 moves them by some 12 %.\n\n"
    )
    return "## Weights and spreads\n\n" + told + "\n".join([head, "|---|" + "---:|" * months, *lines])


def _figures(run: RevenueRun) -> str:
    if run.judged is None:
        return ""
    rows = [
        f"| {row['ahead'] + 1} | {row['len']} | "
        + " | ".join("" if row[name] is None else f"{row[name]:.1%}" for name in (*METHODS, "inside"))
        + " |"
        for row in _by_month(run.judged.months).iter_rows(named=True)
    ]
    head = ["| month ahead | origins | blend | parts | time series | weighted pipeline | seasonal naive | 80 % held |"]
    told = (
        "Absolute error as a share of revenue, from earlier moments, by weights and ranges learnt before each. Of month 1 a part is "
        "booked when the forecast is made; months that are not over yet are missing, so that far ones have fewer origins. `80 % held` is the share "
        "of months that landed within their range; origins overlap, and a dozen of them says little of it.\n\n"
    )
    return "## Accuracy on earlier months\n\n" + told + "\n".join([*head, "|---:|---:|" + "---:|" * 6, *rows])


def _by_month(months: pl.DataFrame) -> pl.DataFrame:
    """Give by `ahead` how many origins there are, `len`, each method's absolute error as a share, and how often 80 % ranges held, `inside`."""
    errors = [
        (
            (pl.col(name) - pl.col("actual")).abs().sum() / pl.col("actual").filter(pl.col(name).is_not_null()).sum()
        ).alias(name)
        for name in METHODS
    ]
    inside = pl.col("actual").is_between("lo-80", "hi-80").mean().alias("inside")
    return months.group_by("ahead").agg(pl.len(), *errors, inside).sort("ahead")


def _metrics_by_month(run: RevenueRun) -> dict[str, float]:
    """Name the blend's error and coverage of each month ahead, counted from 1 as in the card."""
    if run.judged is None:
        return {}
    found: dict[str, float | None] = {}
    for row in _by_month(run.judged.months).iter_rows(named=True):
        month = row["ahead"] + 1
        found |= {f"blend_absolute_error_month_{month}": row["blend"], f"coverage_80_month_{month}": row["inside"]}
    return {name: value for name, value in found.items() if value is not None and np.isfinite(value)}


def train_and_register_revenue(
    engine: sa.Engine,
    settings: Settings,
    experiment: RevenueExperiment,
    *,
    models: Path,
    until: datetime,
    now: datetime,
    currency: str | None,
    promote: bool,
    step: Callable[[str], None],
) -> Release[RevenueRun]:
    """Train on what was known at `until`, register the version, and serve it if `promote` and it passed its gates."""
    step("reading records")
    with unit_of_work(engine) as session:
        records = read_sales_records(session, timezone=settings.timezone)
    run = train_revenue(
        records,
        experiment,
        until=until,
        currency=currency,
        version_id=now.strftime("%Y%m%dT%H%M%S.%fZ"),
        step=step,
    )
    step("registering")
    return release_run(
        settings, run, lambda run, version: revenue_report(run, version, models), now=now, promote=promote
    )
