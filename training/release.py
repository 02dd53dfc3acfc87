"""Train and register a version, promote it, roll back: MLflow's register and the versions on this host, together."""

import time
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import sqlalchemy as sa

from forecast.errors import ConflictError, GateError, InputError
from forecast.history import read_history
from forecast.policies import decide_thresholds, find_thresholds
from forecast.population import population_of
from forecast.registry import (
    Version,
    find_live,
    get_live_version,
    hold_live,
    make_live,
    read_version,
    roll_back,
    version_folder,
    write_version,
)
from forecast.scoring.grades import usual_thresholds
from forecast.settings import Settings
from forecast.snapshot import History, known_opportunities, take_snapshot
from forecast.store import unit_of_work
from training.card import recalibration_card, write_card
from training.config import Experiment, parse_config
from training.pipeline import Listener, Run, Stopwatch, train_win_model
from training.plots import gain_figure, reliability_figure
from training.recalibration import Recalibration, origin_of, recalibrate
from training.tracking import Report, log_run, move_champion
from training.tune import Budget

HELD_BACK = "every gate passed; not promoted, as was asked"


class Releasable(Protocol):
    """What a run of any model has, so that it can be released; it is a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def prior(self) -> Version[Any]:
        """What is served where nothing was learnt."""

    @property
    def candidate(self) -> Version[Any] | None:
        """The version it trained; None where there was too little to learn from."""

    @property
    def verdict(self) -> str:
        """A sentence: promoted, or not and why."""

    @property
    def promotable(self) -> bool:
        """Whether the candidate passed every gate."""


R = TypeVar("R", bound=Releasable)


@dataclass(frozen=True, kw_only=True)
class Release(Generic[R]):
    """A run that was registered; `live` is the id of the version that serves now, `released` what went live by it."""

    run: R
    live: str | None
    folder: Path
    released: Version[Any] | None


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
) -> Release[Run]:
    """Train on what was known at `until`, register the version, and serve it if `promote` and it passed its gates.

    Where it did not pass and no version learnt from these records is live, the share won so far is served.
    """
    watch = Stopwatch(time.perf_counter)
    listener = watch.beside(listener)
    listener.step("reading records")
    with unit_of_work(engine) as session:
        history = read_history(session, population=population_of(experiment.text), until=until)
    run = train_win_model(
        history,
        experiment,
        until=until,
        version_id=now.strftime("%Y%m%dT%H%M%S.%fZ"),
        live=find_live_version(settings, experiment.name),
        budget=budget,
        listener=listener,
    )
    seconds = watch.seconds()
    listener.step("registering")

    def report(run: Run, version: Version) -> Report:
        return win_report(run, version, models, seconds=seconds)

    release = release_run(settings, run, report, now=now, promote=promote)
    _decide_usual_thresholds(engine, history, release.released or run.candidate or run.prior, until=until)
    return release


@dataclass(frozen=True, kw_only=True)
class Levelled:
    """A recalibration with the id of the version that serves now; `folder` is of the new version, if there is one."""

    found: Recalibration
    live: str
    folder: Path | None


def recalibrate_and_register(
    engine: sa.Engine, settings: Settings, name: str, *, models: Path, until: datetime, now: datetime, promote: bool
) -> Levelled:
    """Set the level of the live version anew by what was known at `until`, and serve it if `promote` and it passed its gates.

    Where the level has not moved nothing is registered.

    Raises:
        NotFoundError: no version is live.
        InputError: the live version is not of win probability or lead conversion, it knows all that was known at `until`
            already, or `until` is after `now`.
        ConflictError: another version went live meanwhile, such as of a training.
    """
    if until > now:
        raise InputError(
            f"{until.isoformat()} is in the future (it is {now.isoformat()}), and its outcomes are not known; name a moment that "
            "is over, or none for now"
        )
    live = get_live_version(settings.models_folder, name)
    experiment = parse_config(live.bundle["config"], Experiment, source=f"config.toml of version {live.version}")
    with unit_of_work(engine) as session:
        history = read_history(session, population=population_of(experiment.text), until=until)
    version_id = now.strftime("%Y%m%dT%H%M%S.%fZ")
    found = recalibrate(history, experiment, live, until=until, version_id=version_id)
    if found.promotable and not promote:
        found = replace(found, verdict=HELD_BACK)
    if found.candidate is None:
        return Levelled(found=found, live=live.version, folder=None)
    origin = origin_of(found.candidate)
    report = Report(
        card=recalibration_card(found, models),
        verdict=found.verdict,
        metrics={**found.metrics, "level_shift": found.level.shift},
        sample=found.dataset.features.head(20),
        parameters={"trained_as": origin.version, "level_raised": origin.raised},
    )
    folder = _register(settings, found.candidate, report)
    if not (promote and found.promotable):
        return Levelled(found=found, live=live.version, folder=folder)
    _serve(settings, found.candidate, since=now, why=found.verdict, instead_of=live.version)
    return Levelled(found=found, live=found.candidate.version, folder=folder)


def win_report(run: Run, version: Version, models: Path, *, seconds: Mapping[str, float]) -> Report:
    """Tell of a version of a win model: its card, the recipe, the search, the rows it was judged on, and the seconds of each step."""
    recipe = version.bundle.get("recipe", {})
    judged = run.judged
    return Report(
        card=write_card(run, version, models),
        verdict=run.verdict,
        metrics={**run.metrics, **{f"seconds_{step.replace(' ', '_')}": value for step, value in seconds.items()}},
        sample=run.dataset.features.head(20),
        parameters={
            **{f"lightgbm_{name}": value for name, value in recipe.get("parameters", {}).items()},
            **{name: value for name, value in recipe.items() if name != "parameters"},
        },
        curves={"search_log_loss": run.search.trials} if run.search is not None else {},
        figures={}
        if judged is None
        else {"reliability.html": reliability_figure(judged), "gain.html": gain_figure(judged)},
    )


def find_live_version(settings: Settings, name: str) -> Version[Any] | None:
    """Read the version that is live on this host; None where none is, or where it is of a format no longer read."""
    if find_live(settings.models_folder, name) is None:
        return None
    try:
        return get_live_version(settings.models_folder, name)
    except ConflictError:
        return None


def release_run(
    settings: Settings,
    run: R,
    report: Callable[[R, Version[Any]], Report],
    *,
    now: datetime,
    promote: bool,
) -> Release[R]:
    """Register what a run of any model trained, and serve it if `promote` and it passed its gates.

    Where it did not pass and no version learnt from these records is live, the run's prior is served.
    """
    if run.promotable and not promote:
        run = replace(run, verdict=HELD_BACK)
    trained = run.candidate or run.prior
    folder = _register(settings, trained, report(run, trained))
    released = _release(settings, run, report, now=now) if promote else None
    found = find_live(settings.models_folder, trained.name)
    return Release(run=run, live=found["version"] if found else None, folder=folder, released=released)


def _register(settings: Settings, version: Version[Any], report: Report) -> Path:
    folder = write_version(settings.models_folder, version, report.card)
    log_run(settings, version, report)
    return folder


def _release(
    settings: Settings, run: R, report: Callable[[R, Version[Any]], Report], *, now: datetime
) -> Version[Any] | None:
    """Serve the candidate if it passed; else the prior, unless a version of our own is live. Give what went live."""
    live = find_live_version(settings, run.prior.name)
    if run.candidate is not None and run.promotable:
        released = run.candidate
    elif live is None or live.basis == "prior":
        released = run.prior
        if run.candidate is not None:
            _register(settings, released, report(run, released))
    else:
        return None
    _serve(settings, released, since=now, why=run.verdict)
    return released


def _serve(
    settings: Settings, version: Version[Any], *, since: datetime, why: str, instead_of: str | None = None
) -> None:
    """Serve a version from now on; where one is named that it is to replace, only if that is still live."""
    with hold_live(settings.models_folder):
        live = find_live(settings.models_folder, version.name)
        if instead_of is not None and live is not None and live["version"] != instead_of:
            raise ConflictError(
                f"version {live['version']} went live while {version.version} was made of {instead_of}, and stays; "
                "run the command again if it is still needed"
            )
        move_champion(settings, version.name, version.version)
        make_live(settings.models_folder, version.name, version.version, since=since, why=why)


def _decide_usual_thresholds(engine: sa.Engine, history: History, version: Version, *, until: datetime) -> None:
    """Where no grade policy was decided yet, propose one from the share won and the open records."""
    pipeline = population_of(version.bundle["config"]).policy
    with unit_of_work(engine) as session:
        if find_thresholds(session, pipeline) is not None:
            return
        data = version.bundle["data"]
        base_rate = data["won"] / (data["won"] + data["lost"])
        amounts = take_snapshot(history, known_opportunities(history, until)).rows["amount"]
        thresholds = usual_thresholds(base_rate, amounts * base_rate)
        decide_thresholds(session, thresholds, f"training {version.version}", pipeline_id=pipeline)


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
    why = f"despite failed gates: {despite_gates}" if failed else "promoted by hand"
    _serve(settings, candidate, since=now, why=why)


def roll_back_version(settings: Settings, name: str, *, now: datetime) -> str:
    """Serve the version that was live before; give its id."""
    with hold_live(settings.models_folder):
        version = roll_back(settings.models_folder, name, since=now)
        move_champion(settings, name, version)
    return version
