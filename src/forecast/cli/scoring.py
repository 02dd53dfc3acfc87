"""forecast score."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from forecast.cli.phrases import say
from forecast.cli.screen import AsOf, ModelName, console, moment_of, transaction, writable
from forecast.cli.tiers import TIER_MODEL, score_customer_tiers
from forecast.errors import InputError
from forecast.settings import read_settings
from forecast.wording import say_error

if TYPE_CHECKING:
    from forecast.population import Population


def score(
    model: ModelName = "win_probability",
    as_of: AsOf = None,
    at: Annotated[
        Path | None, typer.Option(help="CSV of opportunity_id (or lead_id), as_of: score each as it was then.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            callback=writable, help="Write a CSV, or Parquet where it ends in .parquet, instead of the score table."
        ),
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
    from forecast.scoring.files import read_subjects, told_reasons, write_scores_file
    from forecast.scoring.scores import refused_subjects, score_opportunities
    from forecast.scoring.table import read_past_scores, write_scores
    from forecast.snapshot import known_opportunities
    from forecast.wording.speaker import read_speaker

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
            speaker = read_speaker(session, settings.language, told_reasons(scores), kind=population.kind)
            write_scores_file(scores, out, say=speaker.sentence, kind=population.kind)
    if subjects.is_empty():
        console.print(
            f"[yellow]{_none_open(population, moment)}[/yellow]{say(': ')}{say('name another moment with --as-of')}"
        )
    where = say("the score table") if out is None else escape(str(out))
    told = "{count} scores by {version} (basis: {basis}) into {where}"
    console.print(say(told, count=scores.height, version=version.version, basis=version.basis, where=where))
    for opportunity_id, asked, reason in refused.head(5).iter_rows():
        why = say_error(reason, settings.language)
        one = say("{id} at {moment}: {reason}", id=escape(opportunity_id), moment=asked, reason=why)
        console.print(f"[yellow]{say('not scored:')}[/yellow] {one}")
    if refused.height:
        console.print(say("{refused} of {count} could not be scored", refused=refused.height, count=subjects.height))


def _none_open(population: "Population", moment: datetime) -> str:
    kind = say(population.kind)
    if population.horizon_days is None:
        return say("no {kind} was open at {moment}", kind=kind, moment=moment.isoformat())
    young = "no {kind} was open and younger than {days} days at {moment}"
    return say(young, kind=kind, days=f"{population.horizon_days:g}", moment=moment.isoformat())
