"""The model card: the human part from models/<name>/card.md, the generated part from the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from forecast.estimators.win import PriorModel, WinModel
from forecast.population import population_of
from forecast.registry import Version
from training.card_curves import gain_table, reliability_table
from training.card_tables import grades_table, limits_section, segments_table, themes_table
from training.gates import Gate
from training.pipeline import Run
from training.recalibration import Recalibration, origin_of

_METRICS = {
    "auc": "AUC (ranking)",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "calibration_error": "Calibration error (ECE, 15 bins)",
    "calibration_slope": "Calibration slope",
    "lift_10": "Lift in the top 10 %",
}
_WHO = {
    "model": "this version",
    "logistic": "logistic regression",
    "clock": "age and calendar alone",
    "prior": "share won so far",
    "live": "live version",
}


def write_card(run: Run, version: Version, models: Path) -> str:
    """Give the card of a version of a win model as Markdown."""
    sections = [
        _data(version),
        _figures(run),
        *_tables(run),
        gates_section(run.gates),
        _left_out(run),
        warnings_section(run.warnings),
    ]
    return compose_card(version, run.verdict, models, sections)


def recalibration_card(found: Recalibration, models: Path) -> str:
    """Give the card of a version whose level was set anew, as Markdown.

    Raises:
        ValueError: there is no such version, as nothing changed.
    """
    version = found.candidate
    if version is None:
        raise ValueError(found.verdict)
    return compose_card(version, found.verdict, models, [_level_section(found, version), gates_section(found.gates)])


def _level_section(found: Recalibration, version: Version) -> str:
    origin, figures = origin_of(version), found.metrics
    error = found.level.variance**0.5
    raised = f"{found.level.shift:+.2f} (standard error {error:.2f}), {origin.raised:+.2f} since the training"
    before, now = figures["live_log_loss"], figures["recalibrated_log_loss"]
    rows = f"{figures['live_rows']:.0f} newest rows {figures['live_won_share']:.1%}"
    lines = [
        f"- Trained as version {origin.version} on what was known at {origin.until.isoformat()}; its card says all the rest.",
        f"- Level set anew by what was known at {version.bundle['until']}.",
        f"- Log-odds of version {found.live.version} are raised by {raised}.",
        f"- Of the {rows} were won; log loss {now:.4f}, {before:.4f} at the level before.",
    ]
    return "## Level\n\n" + "\n".join(lines)


def compose_card(version: Version[Any], verdict: str, models: Path, sections: Sequence[str]) -> str:
    """Give a card of any model: title, verdict, the human part, then the sections that are not empty."""
    human = models / version.name / "card.md"
    parts = [
        f"# {version.name}, version {version.version}",
        verdict[0].upper() + verdict[1:] + ".",
        human.read_text(encoding="utf-8").strip() if human.exists() else "",
        *sections,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data(version: Version) -> str:
    data = version.bundle["data"]
    records = "leads" if population_of(version.bundle["config"]).kind == "lead" else "opportunities"
    period = f"{data['first_as_of'][:10]} to {data['last_as_of'][:10]}" if data["first_as_of"] else "no dates"
    lines = [
        f"- Nothing recorded at or after {version.bundle['until']} was used.",
        f"- {data['won']} won and {data['lost']} lost {records}, {data['rows']} snapshot rows, {period}.",
        f"- Digest of the rows: `{data['digest']}`.",
        f"- Basis: {version.basis}.",
        *_groups(version.estimator),
    ]
    return "## Data\n\n" + "\n".join(lines)


def _groups(estimator: WinModel | PriorModel) -> list[str]:
    """Tell which share won the groups of a prior have, on the first day."""
    if not isinstance(estimator, PriorModel) or estimator.groups is None:
        return []
    column, lifts = estimator.groups.column, estimator.groups.lifts
    shares = estimator.predict(pl.DataFrame({column: list(lifts), "age_days": [0.0] * len(lifts)}))
    told = ", ".join(f"{name} {share:.0%}" for name, share in zip(lifts, shares, strict=True))
    return [f"- Share won on the first day, by {column}: {told}."]


def _figures(run: Run) -> str:
    if run.judged is None:
        return ""
    present = [who for who in _WHO if f"{who}_auc" in run.metrics]
    head = "| | " + " | ".join(_WHO[who] for who in present) + " |\n|---|" + "---:|" * len(present)
    rows = [
        f"| {label} | " + " | ".join(f"{run.metrics[f'{who}_{metric}']:.4f}" for who in present) + " |"
        for metric, label in _METRICS.items()
    ]
    note = (
        f"On the {len(run.judged.won)} newest rows, which the judged fit had not seen "
        f"(share won {run.metrics['model_won_share']:.3f}). The version itself is the same recipe fitted on all rows."
    )
    return "## Accuracy\n\n" + note + "\n\n" + "\n".join([head, *rows])


def _tables(run: Run) -> list[str]:
    if run.judged is None or run.judged_features is None or run.candidate is None:
        return []
    estimator = run.candidate.estimator
    return [
        reliability_table(run.judged),
        gain_table(run.judged),
        grades_table(run.judged, run.judged_features),
        segments_table(run.judged, run.judged_features),
        limits_section(run.dataset, run.judged_features),
        themes_table(estimator, run.judged_features, len(run.suspicions)) if isinstance(estimator, WinModel) else "",
    ]


def gates_section(gates: Sequence[Gate]) -> str:
    """List the gates with what was found; empty where there are none."""
    lines = [
        f"{gate.number}. {'passed' if gate.passed else '**failed**'}: {gate.name}. {gate.sentence}." for gate in gates
    ]
    return "## Gates\n\n" + "\n".join(lines) if lines else ""


def _left_out(run: Run) -> str:
    lines = [f"- `{suspicion.feature}`: {suspicion.reason}." for suspicion in run.suspicions]
    return "## Features left out as suspicious\n\n" + "\n".join(lines) if lines else ""


def warnings_section(warnings: Sequence[str]) -> str:
    """List what a reader of the figures must know; empty where there is nothing."""
    return "## Warnings\n\n" + "\n".join(f"- {warning}." for warning in warnings) if warnings else ""
