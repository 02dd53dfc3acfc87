"""Train and register a version, promote it, roll back: MLflow's register and the versions on this host, together."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from forecast.errors import GateError
from forecast.grades import usual_thresholds
from forecast.history import read_history
from forecast.policies import decide_thresholds, find_thresholds
from forecast.registry import (
    Version,
    find_live,
    get_live_version,
    make_live,
    read_version,
    roll_back,
    version_folder,
    write_version,
)
from forecast.settings import Settings
from forecast.snapshot import History, known_opportunities, take_snapshot
from forecast.store import unit_of_work
from training.card import write_card
from training.config import Experiment
from training.pipeline import Listener, Run, train_win_model
from training.tracking import log_run, move_champion
from training.tune import Budget


@dataclass(frozen=True, kw_only=True)
class Release:
    """A run that was registered; `live` is the id of the version that serves now."""

    run: Run
    live: str | None
    folder: Path


def train_and_register(
    engine: sa.Engine,
    settings: Settings,
    experiment: Experiment,
    *,
    models: Path,
    until: datetime,
    now: datetime,
    budget: Budget,
    promote: bool,
    listener: Listener,
) -> Release:
    """Train on what was known at `until`, register the version, and serve it if `promote` and it passed its gates.

    Where it did not pass and no version learnt from these records is live, the share won so far is served.
    """
    with unit_of_work(engine) as session:
        history = read_history(session, until=until)
    live = find_live(settings.models_folder, experiment.name)
    live_version = get_live_version(settings.models_folder, experiment.name) if live else None
    run = train_win_model(
        history,
        experiment,
        until=until,
        version_id=now.strftime("%Y%m%dT%H%M%S.%fZ"),
        live=live_version,
        budget=budget,
        listener=listener,
    )
    listener.step("registering")
    folder = _register(settings, run, run.candidate or run.prior, models)
    serving = _release(settings, run, live_version, models, now=now) if promote else None
    _decide_usual_thresholds(engine, history, serving or run.candidate or run.prior, until)
    found = find_live(settings.models_folder, experiment.name)
    return Release(run=run, live=found["version"] if found else None, folder=folder)


def _register(settings: Settings, run: Run, version: Version, models: Path) -> Path:
    card = write_card(run, version, models)
    folder = write_version(settings.models_folder, version, card)
    log_run(settings, run, version, card)
    return folder


def _release(settings: Settings, run: Run, live: Version | None, models: Path, *, now: datetime) -> Version | None:
    """Serve the candidate if it passed; else the prior, unless a version of our own is live. Give what went live."""
    if run.candidate is not None and run.promotable:
        released = run.candidate
    elif live is None or live.basis == "prior":
        released = run.prior
        if run.candidate is not None:
            _register(settings, run, released, models)
    else:
        return None
    move_champion(settings, released.name, released.version)
    make_live(settings.models_folder, released.name, released.version, since=now, why=run.verdict)
    return released


def _decide_usual_thresholds(engine: sa.Engine, history: History, version: Version, until: datetime) -> None:
    """Where no grade policy was decided yet, propose one from the share won and the open pipeline."""
    with unit_of_work(engine) as session:
        if find_thresholds(session) is not None:
            return
        data = version.bundle["data"]
        base_rate = data["won"] / (data["won"] + data["lost"])
        amounts = take_snapshot(history, known_opportunities(history, until)).rows["amount"]
        decide_thresholds(session, usual_thresholds(base_rate, amounts * base_rate), f"training {version.version}")


def promote_version(settings: Settings, name: str, version: str, *, now: datetime, despite_gates: str | None) -> None:
    """Serve a version from now on.

    Raises:
        GateError: it failed a gate, and no reason is given to serve it all the same.
    """
    candidate = read_version(version_folder(settings.models_folder, name, version))
    failed = [gate["sentence"] for gate in candidate.bundle.get("gates", []) if not gate["passed"]]
    if failed and not despite_gates:
        raise GateError(
            f'version {version} failed gates: {"; ".join(failed)}. To serve it all the same, say --despite-gates "why"'
        )
    move_champion(settings, name, version)
    why = f"despite failed gates: {despite_gates}" if failed else "promoted by hand"
    make_live(settings.models_folder, name, version, since=now, why=why)


def roll_back_version(settings: Settings, name: str, *, now: datetime) -> str:
    """Serve the version that was live before; give its id."""
    version = roll_back(settings.models_folder, name, since=now)
    move_champion(settings, name, version)
    return version
