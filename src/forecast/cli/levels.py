"""Advice to recalibrate, where the level of a live version is surely off."""

from datetime import datetime
from typing import TYPE_CHECKING

from forecast.cli.compare import COMPARED
from forecast.cli.phrases import say
from forecast.cli.screen import console
from forecast.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def print_levels(session: "Session", settings: Settings, *, now: datetime) -> None:
    """Print it for each model of probabilities that has a live version."""
    from forecast.registry import find_live

    for model in COMPARED:
        if find_live(settings.models_folder, model) is not None:
            print_level(session, settings, model, now=now)


def print_level(session: "Session", settings: Settings, model: str, *, now: datetime) -> None:
    """Print what the live version says on average and what came, if recalibrating would move its level; else nothing."""
    from forecast.history import read_history
    from forecast.population import population_of
    from training.config import Experiment, parse_config
    from training.recalibration import find_level, known_until
    from training.release import find_live_version

    live = find_live_version(settings, model)
    if live is None or now <= known_until(live):
        return
    experiment = parse_config(live.bundle["config"], Experiment)
    history = read_history(session, population=population_of(experiment.text), until=now)
    found = find_level(history, experiment, live, until=now)
    if found.off and found.count:
        advice = say(
            "the level of {model} is off: it says {said} on average, and of the {count} whose outcome is new since {known} {won} came "
            "true; `forecast recalibrate {model}` sets it right",
            model=model,
            said=f"{found.said:.0%}",
            won=f"{found.won_share:.0%}",
            count=f"{found.count:,}",
            known=f"{known_until(live):%Y-%m-%d}",
        )
        console.print(f"[yellow]{say('warning: ')}[/yellow]{advice}")
