"""What happened to opportunities until the history ends, and how they stand there."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.demo.course import (
    draw_amount_changes,
    draw_close_day_changes,
    draw_first_close_days,
    draw_quotes,
    draw_stage_steps,
    seller_at,
)
from forecast.demo.workdays import Workdays

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened to opportunities before the history ends, and the opportunities as they stand there.

    Each frame of events has `opportunity, at, seconds, seller` and what changed, in order.
    """

    opportunities: pl.DataFrame
    steps: pl.DataFrame
    amounts: pl.DataFrame
    close_days: pl.DataFrame
    handovers: pl.DataFrame
    quotes: pl.DataFrame


def draw_history(
    rng: np.random.Generator, lives: pl.DataFrame, *, old_customers: pl.Series, workdays: Workdays
) -> History:
    """Draw the events of whole lives and keep those that came before the end of the history."""
    drawn = lives.with_columns(first_close_day=pl.Series(draw_first_close_days(rng, lives)))
    every_step, every_amount = draw_stage_steps(rng, drawn), draw_amount_changes(rng, drawn)
    steps, amounts = timed(every_step, drawn, workdays), timed(every_amount, drawn, workdays)
    close_days = timed(draw_close_day_changes(rng, drawn, workdays=workdays), drawn, workdays)
    handovers = timed(list_handovers(drawn), drawn, workdays)
    bought_long_ago = old_customers.gather(drawn["account"])
    first_sale = pl.col("closed_seconds").filter("won").min().over("account").fill_null(_NEVER)
    at_end = drawn.with_columns(
        is_closed=pl.col("closed_seconds") < workdays.until_seconds,
        existing_customer=bought_long_ago | (pl.col("created_seconds") > first_sale),
        stage_now=newest(pl.repeat(0, drawn.height, dtype=pl.Int64, eager=True), steps, "stage"),
        amount_now=newest(drawn["amount"], amounts),
        final_amount=newest(drawn["amount"], every_amount),
        close_day_now=newest(drawn["first_close_day"], close_days),
        owner_now=newest(drawn["owner"], handovers),
    )
    return History(
        opportunities=at_end,
        steps=steps,
        amounts=amounts.join(drawn.filter("amount_missing"), on="opportunity", how="anti", maintain_order="left"),
        close_days=close_days,
        handovers=handovers,
        quotes=timed(draw_quotes(rng, drawn, every_step), drawn, workdays),
    )


def timed(events: pl.DataFrame, drawn: pl.DataFrame, workdays: Workdays) -> pl.DataFrame:
    """Add the moment and the seller in charge to events; drop what comes after the history."""
    rows = events["opportunity"].to_numpy()
    at = events["at"].to_numpy()
    region = drawn["region"].to_numpy()[rows]
    return events.with_columns(
        seconds=pl.Series(workdays.seconds(region, at)), seller=pl.Series(seller_at(drawn, rows, at))
    ).filter(pl.col("seconds") < workdays.until_seconds)


def list_handovers(drawn: pl.DataFrame) -> pl.DataFrame:
    """List the opportunities that another seller takes over: `opportunity, at, old, new`."""
    taken_over = drawn.filter(pl.col("handed_over").is_finite())
    return taken_over.select(
        "opportunity",
        pl.col("handed_over").alias("at"),
        pl.col("owner").alias("old"),
        pl.col("next_owner").alias("new"),
    )


def newest(first: pl.Series, events: pl.DataFrame, column: str = "new") -> pl.Series:
    """Give each opportunity's value after its events, the first where there are none."""
    values = first.to_numpy().copy()
    last = events.unique("opportunity", keep="last", maintain_order=True)
    values[last["opportunity"].to_numpy()] = last[column].to_numpy()
    return pl.Series(values)
