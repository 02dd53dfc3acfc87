"""Replay training and scoring through time: what a company would have had, had it trained at each of these moments."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import numpy as np
import polars as pl

from forecast.errors import InputError, TooLittleHistoryError
from forecast.features import opportunity_features
from forecast.metrics import Floats, auc, brier_losses, expected_calibration_error, log_losses
from forecast.outcomes import opportunity_outcomes
from forecast.registry import Version
from forecast.snapshot import History, cut_history, take_snapshot
from forecast.snapshot.subjects import opportunities_at_ages
from training.config import Experiment
from training.dataset import Dataset
from training.pipeline import Listener, train_win_model
from training.recalibration import known_until, recalibrate
from training.tune import Budget

_COLUMNS = pl.Schema(
    {
        "opportunity_id": pl.String(),
        "as_of": pl.Datetime("us", "UTC"),
        "probability": pl.Float64(),
        "prior": pl.Float64(),
        "basis": pl.String(),
        "version": pl.String(),
        "won": pl.Int64(),
        "weight": pl.Float64(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Window:
    """What was served from `start` to `end`, and how right it was; the figures are missing where nothing can be judged.

    Attributes:
        version, basis: of what served in the end: the version trained at `start` if it passed its gates, else the last one
            that had, else the share won so far, at its last level; missing before anything had closed.
        verdict: on the version trained at `start`.
        rows: that were scored in the window.
        judged: of them, those whose outcome was known at the end of the backtest and that were old enough by then.
        recalibrated: how many times the level was set anew in the window.
        prior_log_loss: of the share won so far, as known at `start`.
    """

    start: datetime
    end: datetime
    version: str | None
    basis: str | None
    verdict: str
    rows: int = 0
    judged: int = 0
    recalibrated: int = 0
    won_share: float | None = None
    predicted: float | None = None
    log_loss: float | None = None
    prior_log_loss: float | None = None
    brier: float | None = None
    calibration_error: float | None = None
    auc: float | None = None


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A window with its rows: `opportunity_id, as_of, probability, prior, basis, version, won, weight`."""

    window: Window
    rows: pl.DataFrame


def window_bounds(start: datetime, end: datetime, every: str, *, option: str = "--every") -> list[datetime]:
    """Give the bounds of windows from `start` to `end`, the last one perhaps shorter.

    Args:
        every: length as Polars writes it: 30d, 2w, 1mo, 1q.
        option: that the length was given by.

    Raises:
        InputError: it is no length, or there is no window.
    """
    try:
        starts = pl.datetime_range(start, end, every, closed="left", eager=True).to_list()
    except pl.exceptions.PolarsError as error:
        raise InputError(f'{option} is "{every}", which is no length of time; write 30d, 2w, 1mo or 1q') from error
    if not starts:
        raise InputError(f"there is no time from {start.isoformat()} to {end.isoformat()}; give a later end")
    return [*starts, end]


def replay(
    history: History,
    experiment: Experiment,
    bounds: list[datetime],
    *,
    subjects: pl.DataFrame | None,
    recalibrate_every: str | None = None,
    budget: Budget,
    listener: Listener,
) -> Iterator[Replayed]:
    """Train at the start of each window on what was known then, and score what came up within it.

    Args:
        history: as known at the end of the last window; outcomes that came later are not known.
        experiment: of the model.
        bounds: as `window_bounds` gives them.
        subjects: `opportunity_id, as_of` to be scored and judged, all of them; where missing, every record at the ages of
            the experiment, judged as training judges: mature ones, weighted for those not known yet.
        recalibrate_every: how often the level is set anew within a window; never where missing.
        budget: of each training.
        listener: hears of each.
    """
    asked = opportunities_at_ages(history, experiment.ages_days) if subjects is None else subjects
    serving: Version | None = None
    for start, end in pairwise(bounds):
        within = asked.filter(pl.col("as_of") >= start, pl.col("as_of") < end)
        try:
            run = train_win_model(
                cut_history(history, start),
                experiment,
                until=start,
                version_id=_version_id(start),
                live=serving,
                budget=budget,
                listener=listener,
            )
        except TooLittleHistoryError as error:
            nothing = Window(start=start, end=end, version=None, basis=None, verdict=str(error), rows=within.height)
            yield Replayed(window=nothing, rows=_no_rows())
            continue
        if run.candidate is not None and run.promotable:
            serving = run.candidate
        elif serving is None or serving.basis == "prior":
            serving = run.prior
        if recalibrate_every is None:
            served = _Served(version=serving, rows=_scored(history, within, serving, run.prior))
        else:
            levels = window_bounds(start, end, recalibrate_every, option="--recalibrate-every")
            served = _followed(history, experiment, within, serving, prior=run.prior, bounds=levels)
        serving, rows = served.version, served.rows
        judged = _judged(rows, history, bounds[-1]) if subjects is None else _all_known(rows, history)
        window = _measured(judged, serving, run.verdict, start, end)
        yield Replayed(window=replace(window, recalibrated=served.recalibrated), rows=judged.drop("age_days"))


@dataclass(frozen=True, kw_only=True)
class _Served:
    """What was scored in a window, the version that served in the end, and how many times its level was set anew."""

    version: Version
    rows: pl.DataFrame
    recalibrated: int = 0


def _followed(
    history: History,
    experiment: Experiment,
    subjects: pl.DataFrame,
    version: Version,
    *,
    prior: Version,
    bounds: list[datetime],
) -> _Served:
    """Set the level anew at each bound, and score what came up until the next one."""
    parts, count = [], 0
    for start, end in pairwise(bounds):
        if start > known_until(version):
            known = cut_history(history, start)
            found = recalibrate(known, experiment, version, until=start, version_id=_version_id(start))
            if found.candidate is not None and found.promotable:
                version, count = found.candidate, count + 1
        within = subjects.filter(pl.col("as_of") >= start, pl.col("as_of") < end)
        parts.append(_scored(history, within, version, prior))
    return _Served(version=version, rows=pl.concat(parts), recalibrated=count)


def _version_id(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S.%fZ")


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=_COLUMNS)


def _scored(history: History, subjects: pl.DataFrame, version: Version, prior: Version) -> pl.DataFrame:
    snapshot = take_snapshot(history, subjects)
    features = opportunity_features(snapshot, version.plan)
    return features.select(
        "opportunity_id",
        "as_of",
        "age_days",
        pl.Series("probability", version.estimator.predict(features), dtype=pl.Float64),
        pl.Series("prior", prior.estimator.predict(opportunity_features(snapshot, prior.plan)), dtype=pl.Float64),
        pl.lit(version.basis).alias("basis"),
        pl.lit(version.version).alias("version"),
    )


def _judged(rows: pl.DataFrame, history: History, until: datetime) -> pl.DataFrame:
    keys = opportunity_outcomes(history, rows.select("opportunity_id", "as_of"))
    lesson = Dataset(keys=keys, features=rows.select("opportunity_id", "as_of", "age_days"), until=until).lesson(until)
    return rows.with_columns(keys["won"], pl.Series("weight", lesson.weight))


def _all_known(rows: pl.DataFrame, history: History) -> pl.DataFrame:
    won = opportunity_outcomes(history, rows.select("opportunity_id", "as_of"))["won"]
    return rows.with_columns(won, won.is_not_null().cast(pl.Float64).alias("weight"))


def _measured(rows: pl.DataFrame, version: Version, verdict: str, start: datetime, end: datetime) -> Window:
    window = Window(
        start=start, end=end, version=version.version, basis=version.basis, verdict=verdict, rows=rows.height
    )
    return with_figures(window, rows)


def with_figures(window: Window, rows: pl.DataFrame) -> Window:
    """Give a window with the figures of these rows; as it is where none of them can be judged."""
    judged = rows.filter(pl.col("weight") > 0)
    if judged.is_empty():
        return window
    won, weight = judged["won"].cast(pl.Float64).to_numpy(), judged["weight"].to_numpy()
    probability = judged["probability"].to_numpy()

    def mean(values: Floats) -> float:
        return float(np.average(values, weights=weight))

    return replace(
        window,
        judged=judged.height,
        won_share=mean(won),
        predicted=mean(probability),
        log_loss=mean(log_losses(won, probability)),
        prior_log_loss=mean(log_losses(won, judged["prior"].to_numpy())),
        brier=mean(brier_losses(won, probability)),
        calibration_error=expected_calibration_error(won, probability),
        auc=auc(won, probability, weight),
    )


def whole(replayed: list[Replayed]) -> Window:
    """Give all windows as one."""
    rows = pl.concat([part.rows for part in replayed])
    bases = sorted({part.window.basis for part in replayed if part.window.basis})
    window = Window(
        start=replayed[0].window.start,
        end=replayed[-1].window.end,
        version=None,
        basis=", ".join(bases) or None,
        verdict=f"{len(replayed)} windows",
        rows=sum(part.window.rows for part in replayed),
        recalibrated=sum(part.window.recalibrated for part in replayed),
    )
    return with_figures(window, rows)
