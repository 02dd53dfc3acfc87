"""forecast accuracy and backtest."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.forecast_accuracy import REVENUE_MODEL, print_forecast_accuracy
from forecast.cli.levels import print_level
from forecast.cli.phrases import say
from forecast.cli.screen import (
    ModelName,
    Models,
    console,
    moment_of,
    now,
    output,
    past_moment_of,
    transaction,
    writable,
)
from forecast.cli.tiers import TIER_MODEL, print_tier_accuracy
from forecast.cli.training import told
from forecast.settings import read_settings

if TYPE_CHECKING:
    from training.backtest import Replayed, Window


def accuracy(
    model: ModelName = "win_probability",
    as_of: Annotated[str | None, typer.Option(help="Outcomes known before this moment (ISO). Default: now.")] = None,
    out: Annotated[Path | None, typer.Option(callback=writable, help="Write all figures as CSV.")] = None,
) -> None:
    """Compare past scores, or kept revenue forecasts, with what happened: losses, calibration, by month, grade, segment."""
    from forecast.insight.accuracy import accuracy_frame, measure_accuracy
    from forecast.insight.accuracy_table import render_accuracy
    from forecast.population import population_of
    from forecast.registry import get_live_version, versions_until

    settings = read_settings()
    if model == REVENUE_MODEL:
        print_forecast_accuracy(settings, now=past_moment_of(as_of, settings), out=out)
        return
    if model == TIER_MODEL:
        print_tier_accuracy(settings, as_of=as_of, out=out)
        return
    population = population_of(get_live_version(settings.models_folder, model).bundle["config"])
    with transaction(settings) as session:
        print_level(session, settings, model, now=moment_of(as_of, settings))
        found = measure_accuracy(
            session,
            model,
            population,
            known_until=versions_until(settings.models_folder, model),
            now=moment_of(as_of, settings),
        )
    output.print(render_accuracy(found, settings.language))
    if out is not None:
        accuracy_frame(found).write_csv(out)


def backtest(
    model: ModelName = "win_probability",
    *,
    start: Annotated[str, typer.Option("--from", help="Moment (ISO) of the first training.")],
    end: Annotated[
        str | None, typer.Option("--to", help="Moment (ISO) at which outcomes are looked up. Default: now.")
    ] = None,
    every: Annotated[
        str, typer.Option(help="How long a version serves until the next training: 30d, 2w, 1mo, 1q.")
    ] = "1mo",
    recalibrate_every: Annotated[
        str | None, typer.Option(help="How often the level is set anew between trainings: 1w. Default: never.")
    ] = None,
    at: Annotated[
        Path | None, typer.Option(help="CSV of opportunity_id (or lead_id), as_of: judge on these only.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of each search; default as in config.toml.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for windows.csv and scores.csv.")] = None,
    models: Models = Path("models"),
) -> None:
    """Replay training and scoring through time: train at each moment on what was known then, judge what came next."""
    from forecast.history import read_history
    from forecast.population import population_of
    from forecast.scoring.files import read_subjects
    from training.backtest import replay, whole, window_bounds
    from training.config import read_experiment
    from training.pipeline import Listener
    from training.tune import Budget

    settings = read_settings()
    experiment = read_experiment(models, model)
    population = population_of(experiment.text)
    bounds = window_bounds(moment_of(start, settings), moment_of(end, settings) if end else now(), every)
    subjects = read_subjects(at, settings.timezone, kind=population.kind) if at else None
    with transaction(settings) as session:
        history = read_history(session, population=population, until=bounds[-1])
    rules = experiment.search
    parts: list[Replayed] = []
    for part in replay(
        history,
        experiment,
        bounds,
        subjects=subjects,
        recalibrate_every=recalibrate_every,
        budget=Budget(trials=rules.trials if trials is None else trials, timeout_seconds=rules.timeout_seconds),
        listener=Listener(step=lambda _: None, trial=lambda *_: None),
    ):
        parts.append(part)
        console.print(_sentence(part.window))
    windows = [*(part.window for part in parts), whole(parts)]
    output.print(_table(windows))
    if out is not None:
        _write(out, parts, windows, key=f"{population.kind}_id")


def _sentence(window: "Window") -> str:
    figures = say("nothing to judge yet") if window.log_loss is None else f"{say('log loss')} {window.log_loss:.4f}"
    return f"{window.start:%Y-%m-%d}{say(': ')}{figures}{say('; ')}{escape(told(window.verdict))}"


def _table(windows: "list[Window]") -> Table:
    headings = ("from", "served", "judged", "won", "predicted", "log loss", "prior", "ECE", "AUC")
    table = Table(*(Column(say(heading), no_wrap=True) for heading in headings), box=SIMPLE, padding=(0, 1, 0, 0))
    for window in windows[:-1]:
        table.add_row(*_cells(window))
    table.add_section()
    table.add_row(*_cells(windows[-1]))
    return table


def _cells(window: "Window") -> list[str]:
    shares = [window.won_share, window.predicted]
    losses = [window.log_loss, window.prior_log_loss]
    figures = [window.calibration_error, window.auc]
    return [
        f"{window.start:%Y-%m-%d}",
        say(", ").join(map(say, window.basis.split(", "))) if window.basis else say("nothing"),
        f"{window.judged:,}",
        *("" if share is None else f"{share:.1%}" for share in shares),
        *("" if loss is None else f"{loss:.4f}" for loss in losses),
        *("" if figure is None else f"{figure:.3f}" for figure in figures),
    ]


def _write(folder: Path, parts: "list[Replayed]", windows: "list[Window]", *, key: str) -> None:
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([asdict(window) for window in windows], infer_schema_length=None).write_csv(folder / "windows.csv")
    scores = pl.concat([part.rows for part in parts]).rename({"opportunity_id": key})
    scores.write_csv(folder / "scores.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
