"""How right past scores were: what the score table said, beside what happened."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import TooLittleHistoryError
from forecast.history import read_history
from forecast.insight.date_accuracy import Promise, judge_dates
from forecast.metrics import Floats, brier_losses, expected_calibration_error, log_losses, reliability
from forecast.outcomes import censoring_weights, maturity, opportunity_outcomes
from forecast.population import Population
from forecast.records import Score
from forecast.snapshot import History, take_snapshot
from forecast.store import read_frame

GROUP_ROWS_MIN = 30
GROUPS_MAX = 24
CALIBRATION_BINS = 10
SCORED = ("opportunity_id", "as_of")
SEGMENTS = ("stage", "team_id", "source", "product_id", "account_region", "campaign_id")


@dataclass(frozen=True, kw_only=True)
class Measures:
    """How right some scores were; losses and shares are weighted, the calibration error is by row.

    Attributes:
        rows: scores that were judged.
        won_share: of them, 0-1.
        predicted: their mean probability.
        constant_log_loss: of saying `won_share` of every one, which no one could know before.
    """

    rows: int
    won_share: float
    predicted: float
    log_loss: float
    brier: float
    calibration_error: float
    constant_log_loss: float


@dataclass(frozen=True, kw_only=True)
class Group:
    """The scores that have one value of a column in common."""

    column: str
    value: str
    measures: Measures


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Scores of similar probability: from the lowest to the highest tenth."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What became of a model's scores.

    Attributes:
        hindsight: scores left out, as their version knew what came after their moment, or is not on this host.
        kept: scores that count: of each record the first of the others in each calendar month (UTC).
        open: of them, those whose outcome is not known yet.
        young: of the others, those of records too young to be judged, of which only the quick have closed.
        overall: of the rest.
        calibration: of the rest, by probability.
        groups: by month, grade, version and segment, in that order: the GROUPS_MAX largest of each, of segments those of
            GROUP_ROWS_MIN scores or more.
        dates: what the scores that count said of days, as `judge_dates` has it.
    """

    model: str
    hindsight: int
    kept: int
    open: int
    young: int
    overall: Measures
    calibration: tuple[CalibrationBin, ...]
    groups: tuple[Group, ...]
    dates: tuple[Promise, ...] = ()


def measure_accuracy(
    session: Session, model: str, population: Population, *, known_until: Mapping[str, datetime], now: datetime
) -> Accuracy:
    """Compare a model's past scores with the outcomes known before `now`.

    Args:
        session: an open transaction.
        model: its name.
        population: that the model speaks of.
        known_until: of each version, the moment up to which it knew the world.
        now: what is later has not happened yet.

    Scores of the same record a few days apart say the same thing, so the first of each month speaks for them. A score of a
    record that had closed by then already, as became known later, is left out.

    Raises:
        TooLittleHistoryError: no score can be judged yet.
    """
    history = read_history(session, population=population, until=now)
    everything = _read_scores(session, model, now)
    if everything.is_empty():
        raise TooLittleHistoryError(
            f"no score of {model} is stored; `forecast score {model}` gives some, to be judged later"
        )
    honest = _foreseen(everything, known_until)
    scores = _with_outcomes(_first_of_each_month(honest), history)
    judged = _weighted(scores, now).filter(pl.col("weight") > 0)
    unknown = scores["won"].null_count()
    if judged.is_empty():
        raise TooLittleHistoryError(
            f"of {everything.height} scores of {model}, {everything.height - honest.height} are by versions that knew what came "
            f"after, {unknown} of records still open and the others of records too young to be judged; wait, import what has "
            "closed, or see `forecast backtest`"
        )
    won, probability = _arrays(judged)
    stood = _as_it_stood(scores, history)
    said = scores.filter(pl.col("closing").is_not_null())
    return Accuracy(
        model=model,
        hindsight=everything.height - honest.height,
        kept=scores.height,
        open=unknown,
        young=scores.height - unknown - judged.height,
        overall=_measure(judged),
        calibration=tuple(
            CalibrationBin(rows=len(part.won), predicted=part.predicted, observed=part.observed)
            for part in reliability(won, probability, CALIBRATION_BINS)
        ),
        groups=tuple(_groups(judged.join(stood, on=SCORED, how="left"))),
        dates=judge_dates(said.join(stood, on=SCORED, how="left"), now),
    )


def _read_scores(session: Session, model: str, now: datetime) -> pl.DataFrame:
    names = ("as_of", "probability", "grade", "version")
    columns = (*(getattr(Score, name) for name in names), Score.closing, Score.id)
    statement = sa.select(Score.record_id.label("opportunity_id"), *columns)
    return read_frame(session, statement.where(Score.model == model, Score.as_of < now)).sort("as_of", "id").drop("id")


def _foreseen(scores: pl.DataFrame, known_until: Mapping[str, datetime]) -> pl.DataFrame:
    versions = pl.DataFrame(
        {"version": list(known_until), "until": list(known_until.values())},
        schema={"version": pl.String, "until": pl.Datetime("us", "UTC")},
    )
    told = scores.join(versions, on="version", how="left", maintain_order="left")
    return told.filter(pl.col("until") <= pl.col("as_of")).drop("until")


def _first_of_each_month(scores: pl.DataFrame) -> pl.DataFrame:
    month = pl.col("as_of").dt.strftime("%Y-%m").alias("month")
    return scores.with_columns(month).unique(["opportunity_id", "month"], keep="first", maintain_order=True)


def _with_outcomes(scores: pl.DataFrame, history: History) -> pl.DataFrame:
    known = opportunity_outcomes(history, scores.select("opportunity_id", "as_of"))
    told = scores.with_columns(known.select("won", "known_at", "closed_at", "created_at"))
    stored = pl.col("opportunity_id").is_in(history.opportunities["opportunity_id"].implode())
    return told.filter(stored, pl.col("known_at").is_null() | (pl.col("known_at") >= pl.col("as_of")))


def _weighted(scores: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Weight scores as training weights rows: known outcomes of records that are old enough stand for all."""
    records = scores.unique("opportunity_id", maintain_order=True)
    known = records.drop_nulls("won")
    age = maturity(known["created_at"], known["known_at"], known["won"])
    mature = records.filter(pl.col("created_at").is_null() | (pl.col("created_at") <= now - age))
    weights = mature.select(
        "opportunity_id", censoring_weights(mature["created_at"], mature["known_at"], now).alias("weight")
    )
    return scores.join(weights, on="opportunity_id", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("won").is_not_null()).then(pl.col("weight").fill_null(0.0)).otherwise(0.0).alias("weight")
    )


def _as_it_stood(scores: pl.DataFrame, history: History) -> pl.DataFrame:
    """Give what each record was at the moment of its score: SEGMENTS, and `due_on`, its expected close date."""
    rows = take_snapshot(history, scores.select(SCORED)).rows
    due = pl.col("expected_close_on").cast(pl.Date).alias("due_on")
    return rows.select(*SCORED, *SEGMENTS, due).unique(SCORED)


def _groups(judged: pl.DataFrame) -> Iterator[Group]:
    for column, least in {"month": 1, "grade": 1, "version": 1, **dict.fromkeys(SEGMENTS, GROUP_ROWS_MIN)}.items():
        parts = [part for part in judged.drop_nulls(column).partition_by(column) if part.height >= least]
        largest = sorted(parts, key=lambda part: part.height, reverse=True)[:GROUPS_MAX]
        for rows in sorted(largest, key=lambda part: part[column][0]):
            yield Group(column=column, value=rows[column][0], measures=_measure(rows))


def _arrays(judged: pl.DataFrame) -> tuple[Floats, Floats]:
    return judged["won"].cast(pl.Float64).to_numpy(), judged["probability"].to_numpy()


def _measure(judged: pl.DataFrame) -> Measures:
    won, probability = _arrays(judged)
    weight = judged["weight"].to_numpy()
    share = float(np.average(won, weights=weight))
    return Measures(
        rows=judged.height,
        won_share=share,
        predicted=float(np.average(probability, weights=weight)),
        log_loss=float(np.average(log_losses(won, probability), weights=weight)),
        brier=float(np.average(brier_losses(won, probability), weights=weight)),
        calibration_error=expected_calibration_error(won, probability),
        constant_log_loss=float(np.average(log_losses(won, np.full(len(won), share)), weights=weight)),
    )


def accuracy_frame(accuracy: Accuracy) -> pl.DataFrame:
    """Give all measures as a table: `column, value` (both `all` for the whole) and one column a measure.

    Rows of the column `dates` have what was said as their value; of them only `rows, predicted, came, brier` are filled.
    """
    whole = Group(column="all", value="all", measures=accuracy.overall)
    rows: list[Mapping[str, object]] = [
        {"column": group.column, "value": group.value, **vars(group.measures)} for group in (whole, *accuracy.groups)
    ]
    dates = pl.DataFrame([vars(promise) for promise in accuracy.dates], schema=_DATES)
    return pl.concat(
        [pl.DataFrame(rows), dates.select(pl.lit("dates").alias("column"), pl.all().name.replace("what", "value"))],
        how="diagonal",
    )


_DATES = {"what": pl.String, "rows": pl.Int64, "predicted": pl.Float64, "came": pl.Float64, "brier": pl.Float64}
