"""forecast score."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from forecast.cli.screen import AsOf, ModelName, console, moment_of, transaction
from forecast.cli.tiers import TIER_MODEL, score_customer_tiers
from forecast.errors import InputError
from forecast.settings import read_settings


def score(
    model: ModelName = "win_probability",
    as_of: AsOf = None,
    at: Annotated[
        Path | None, typer.Option(help="CSV of opportunity_id (or lead_id), as_of: score each as it was then.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a CSV, or Parquet where it ends in .parquet, instead of the score table.")
    ] = None,
    reasons: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the records that get reasons, of the highest expected value first."),
    ] = 1.0,
) -> None:
    """Score all open opportunities or leads, or given ones as they were at given moments."""
    from forecast.history import read_history
    from forecast.policies import read_policies
    from forecast.population import population_of
    from forecast.registry import get_live_version
    from forecast.score_files import read_subjects, write_scores_file
    from forecast.score_table import read_past_scores, write_scores
    from forecast.scoring import refused_subjects, score_opportunities
    from forecast.snapshot import known_opportunities

    if as_of and at:
        raise InputError("--as-of and --at exclude each other: the file of --at has the moments")
    settings = read_settings()
    if model == TIER_MODEL:
        if at:
            raise InputError("--at is of opportunities and leads; give customer_tier one moment with --as-of")
        score_customer_tiers(settings, as_of=as_of, out=out)
        return
    version = get_live_version(settings.models_folder, model)
    population = population_of(version.bundle["config"])
    moment = moment_of(as_of, settings)
    with transaction(settings) as session:
        history = read_history(session, population=population, until=None if at else moment)
        subjects = (
            read_subjects(at, settings.timezone, kind=population.kind) if at else known_opportunities(history, moment)
        )
        policies = read_policies(session, population)
        past = read_past_scores(session, subjects, model=model, decided_at=policies.decided_at)
        scores = score_opportunities(history, version, subjects, policies=policies, past=past, reasons_share=reasons)
        refused = refused_subjects(history, subjects)
        if out is None:
            write_scores(session, scores, model=model, kind=population.kind)
        else:
            write_scores_file(scores, out, kind=population.kind)
    if subjects.is_empty():
        age = f" and younger than {population.horizon_days:g} days" if population.horizon_days is not None else ""
        console.print(
            f"[yellow]no {population.kind} was open{age} at {moment.isoformat()}[/yellow]: name another moment with --as-of"
        )
    where = "the score table" if out is None else str(out)
    console.print(f"{scores.height} scores by {version.version} (basis: {version.basis}) into {where}")
    for opportunity_id, asked, reason in refused.head(5).iter_rows():
        console.print(f"[yellow]not scored:[/yellow] {escape(opportunity_id)} at {asked}: {reason}")
    if refused.height:
        console.print(f"{refused.height} of {subjects.height} could not be scored")
