"""Where an opportunity stands in time: age, stage, close date and how they moved."""

from collections.abc import Callable

import polars as pl

from forecast.features.durations import days
from forecast.features.pace import usual_stay_days
from forecast.features.plan import FeaturePlan
from forecast.snapshot import Snapshot
from forecast.snapshot.stages import stages_then


def timing_features(snapshot: Snapshot) -> pl.DataFrame:
    """Give age, calendar and close-date features, one row a subject; durations in days."""
    as_of, created = pl.col("as_of"), pl.col("created_at")
    expected = pl.col("expected_close_on").cast(pl.Datetime("us", "UTC"))
    quarter_end = as_of.dt.truncate("1q").dt.offset_by("1q")
    return snapshot.rows.select(
        days(as_of - created).alias("age_days"),
        as_of.dt.month().cast(pl.String).alias("moment_month"),
        created.dt.weekday().cast(pl.String).alias("created_weekday"),
        created.dt.hour().cast(pl.Float64).alias("created_hour"),
        days(quarter_end - as_of).alias("quarter_end_days"),
        days(expected - as_of).alias("expected_close_days"),
        days(expected - created).alias("planned_duration_days"),
    )


def stage_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give the stage, how long it has lasted and how it was reached, one row a subject.

    Places are those of the pipeline at the row's moment, steps those of the pipeline at the moment of each move.
    """
    position = stages_then(snapshot.rows, snapshot.stages)["position"]
    moves = _stage_moves(snapshot)
    latest = moves.group_by("row").agg(
        pl.col("changed_at").max().alias("entered_at"),
        pl.len().cast(pl.Float64).alias("stage_change_count"),
        (pl.col("step") < 0).sum().cast(pl.Float64).alias("stage_backward_count"),
        (pl.col("step") > 1).sum().cast(pl.Float64).alias("stage_skip_count"),
    )
    stage_days = days(pl.col("as_of") - pl.coalesce("entered_at", "created_at"))
    reached = moves.group_by("row").agg(
        pl.col("changed_at").filter(pl.col("stage") == stage).min().alias(f"reached_{stage}_days")
        for stage in plan.stages
    )
    return (
        snapshot.rows.select("row", "as_of", "created_at", "stage")
        .join(latest, on="row", how="left", maintain_order="left")
        .join(reached, on="row", how="left", maintain_order="left")
        .select(
            "stage",
            position.cast(pl.Float64).alias("stage_position"),
            stage_days.alias("stage_days"),
            (stage_days / usual_stay_days(snapshot)).alias("stage_pace"),
            pl.col("stage_change_count").fill_null(0),
            pl.col("stage_backward_count").fill_null(0),
            pl.col("stage_skip_count").fill_null(0),
            *(
                days(pl.col("as_of") - pl.col(f"reached_{stage}_days")).alias(f"reached_{stage}_days")
                for stage in plan.stages
            ),
        )
    )


def _stage_moves(snapshot: Snapshot) -> pl.DataFrame:
    moves = (
        snapshot.changes.filter(pl.col("field") == "stage")
        .rename({"new_value": "stage"})
        .with_columns(pl.coalesce("old_value", pl.col("stage").shift().over("row")).alias("left"))
    )
    places = moves.select(
        snapshot.rows["pipeline_id"].gather(moves["row"]), "stage", "left", pl.col("changed_at").alias("as_of")
    )
    entered = stages_then(places, snapshot.stages)["position"]
    left = stages_then(places.with_columns(stage="left"), snapshot.stages)["position"]
    return moves.with_columns((entered - left).alias("step"))


def movement_features(snapshot: Snapshot) -> pl.DataFrame:
    """Give how the close date, the amount and the owner changed so far, one row a subject."""
    amounts, dates = _moves("amount", _number), _moves("expected_close_on", _date)
    counts = snapshot.changes.group_by("row").agg(
        (dates > 0).sum().alias("close_date_push_count"),
        (dates < 0).sum().alias("close_date_pull_count"),
        (pl.col("field") == "owner_id").sum().alias("owner_change_count"),
        (pl.col("field") == "amount").sum().alias("amount_change_count"),
        (amounts > 0).sum().alias("amount_raise_count"),
        (amounts < 0).sum().alias("amount_cut_count"),
        _number(pl.col("old_value").filter(pl.col("field") == "amount").first()).alias("first_amount"),
    )
    names = [name for name in counts.columns if name.endswith("_count")]
    return (
        snapshot.rows.select("row", "amount")
        .join(counts, on="row", how="left", maintain_order="left")
        .select(
            *(pl.col(name).cast(pl.Float64).fill_null(0) for name in names),
            (pl.col("amount") / pl.col("first_amount").replace(0.0, None) - 1)
            .fill_null(0)
            .alias("amount_change_share"),
        )
    )


def _moves(field: str, read: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """Give the new value less the old one of each change of a field; missing where either can't be read."""
    return pl.when(pl.col("field") == field).then(read(pl.col("new_value")) - read(pl.col("old_value")))


def _number(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _date(text: pl.Expr) -> pl.Expr:
    return text.str.to_date("%Y-%m-%d", strict=False).to_physical()
