"""The records of opportunities as a CRM exports them at the end of the history."""

import numpy as np
import polars as pl

from forecast.demo import words as w
from forecast.demo.columns import SECONDS_A_DAY, Bools, choose, days, ids, local_words, moments, with_gaps, words
from forecast.demo.course import CONTRACT, STAGE_DAYS, STAGE_QUIET_DAYS, STAGES
from forecast.demo.leads import campaign_ids
from forecast.demo.market import CURRENCY, SPEAKS_CHINESE, Market
from forecast.demo.opportunities import BUYING_PROCESSES, SOURCES
from forecast.demo.workdays import Workdays
from forecast.process import default_pipeline


def export_stages(created_at: pl.Series) -> pl.DataFrame:
    """Write the pipeline's stages."""
    count = len(STAGES)
    return pl.DataFrame(
        {
            "id": [f"S{number + 1}" for number in range(count)],
            "created_at": created_at.gather([0] * count),
            "pipeline_id": ["default"] * count,
            "name": STAGES,
            "position": range(1, count + 1),
            "kind": [*["open"] * (CONTRACT + 1), "won", "lost"],
            "usual_days": [*STAGE_DAYS, None, None],
            "quiet_days_max": [*STAGE_QUIET_DAYS, None, None],
            "playbook_en": [stage.playbook_en for stage in default_pipeline().stages],
            "playbook_zh": [stage.playbook_zh for stage in default_pipeline().stages],
        }
    )


def export_stage_changes(steps: pl.DataFrame) -> pl.DataFrame:
    """Write timed stage steps, the first on creation."""
    return steps.select(
        ids("O", steps["opportunity"].to_numpy(), digits=7).alias("opportunity_id"),
        moments(steps["seconds"].to_numpy()).alias("changed_at"),
        words(STAGES, steps["stage"].to_numpy()).alias("stage"),
        ids("U", steps["seller"].to_numpy(), digits=2).alias("person_id"),
    )


def export_field_changes(*, amounts: pl.DataFrame, close_days: pl.DataFrame, handovers: pl.DataFrame) -> pl.DataFrame:
    """Write timed changes of amount, expected close and owner, in order of time."""
    changes = pl.concat(
        [
            _change_rows(amounts, "amount", old=_money(amounts["old"]), new=_money(amounts["new"])),
            _change_rows(
                close_days,
                "expected_close_on",
                old=days(close_days["old"].to_numpy()).cast(pl.String),
                new=days(close_days["new"].to_numpy()).cast(pl.String),
            ),
            _change_rows(
                handovers,
                "owner_id",
                old=ids("U", handovers["old"].to_numpy(), digits=2),
                new=ids("U", handovers["new"].to_numpy(), digits=2),
            ),
        ]
    )
    return changes.sort("changed_at", maintain_order=True)


def _money(amounts: pl.Series) -> pl.Series:
    return amounts.cast(pl.Decimal(18, 2)).cast(pl.String)


def _change_rows(events: pl.DataFrame, field: str, *, old: pl.Series, new: pl.Series) -> pl.DataFrame:
    return events.select(
        pl.lit("opportunity").alias("kind"),
        ids("O", events["opportunity"].to_numpy(), digits=7).alias("record_id"),
        pl.lit(field).alias("field"),
        moments(events["seconds"].to_numpy()).alias("changed_at"),
        old.alias("old_value"),
        new.alias("new_value"),
        ids("U", events["seller"].to_numpy(), digits=2).alias("person_id"),
    )


def export_opportunities(
    rng: np.random.Generator, drawn: pl.DataFrame, *, market: Market, workdays: Workdays
) -> pl.DataFrame:
    """Write opportunities as they stand at the end of the history; some fields have gaps."""
    count, region, source = drawn.height, drawn["region"].to_numpy(), drawn["source"].to_numpy()
    account, product = drawn["account"].to_numpy(), drawn["product"].to_numpy()
    chinese = SPEAKS_CHINESE[region]
    next_step = rng.integers(0, len(w.NEXT_STEPS_ZH), count)
    next_steps = local_words(w.NEXT_STEPS_ZH, w.NEXT_STEPS_EN, codes=next_step, in_chinese=chinese)
    gaps = {
        name: with_gaps(drawn[name], rng.random(count) < share)
        for name, share in (
            ("need_fit", 0.25),
            ("purchasing_power", 0.25),
            ("competition", 0.25),
            ("budget_confirmed", 0.15),
        )
    }
    known = pl.DataFrame(
        {
            "id": ids("O", drawn["opportunity"].to_numpy(), digits=7),
            "created_at": moments(drawn["created_seconds"].to_numpy()),
            "name": market.accounts["name"].gather(account) + " " + market.products["name"].gather(product),
            "account_id": ids("A", account, digits=5),
            "lead_id": with_gaps(
                ids("N", drawn["lead"].fill_null(0).to_numpy(), digits=6), drawn["lead"].is_null().to_numpy()
            ),
            "owner_id": ids("U", drawn["owner_now"].to_numpy(), digits=2),
            "team_id": market.teams["id"].gather(region),
            "product_id": market.products["id"].gather(product),
            "campaign_id": campaign_ids(source, drawn["created_seconds"].to_numpy(), workdays),
            "source": with_gaps(words(SOURCES, source), rng.random(count) < 0.03),
            "type": words(("new business", "existing business"), drawn["existing_customer"].cast(pl.Int64).to_numpy()),
            "stage": words(STAGES, drawn["stage_now"].to_numpy()),
            "amount": with_gaps(drawn["amount_now"], drawn["amount_missing"].to_numpy()),
            "currency": pl.repeat(CURRENCY, count, eager=True),
            "expected_close_on": days(drawn["close_day_now"].to_numpy()),
            "next_step": with_gaps(next_steps, rng.random(count) < 0.3),
            **gaps,
            "buying_process": words(BUYING_PROCESSES, drawn["buying_process"].to_numpy()),
        }
    )
    return known.with_columns(_ends(rng, drawn, in_chinese=chinese))


def _ends(rng: np.random.Generator, drawn: pl.DataFrame, *, in_chinese: Bools) -> pl.DataFrame:
    won, closed = drawn["won"].to_numpy(), drawn["is_closed"].to_numpy()
    reason = choose(rng, (0.25, 0.25, 0.1, 0.15, 0.2, 0.05), drawn.height)
    reasons = local_words(w.LOST_REASONS_ZH, w.LOST_REASONS_EN, codes=reason, in_chinese=in_chinese)
    return pl.DataFrame(
        {
            "status": words(("open", "won", "lost"), np.where(closed, np.where(won, 1, 2), 0)),
            "closed_at": with_gaps(moments(drawn["closed_seconds"].to_numpy()), ~closed),
            "won_amount": with_gaps(drawn["final_amount"], ~(closed & won)),
            "lost_reason": with_gaps(reasons, ~closed | won | (rng.random(drawn.height) < 0.2)),
        }
    )


def export_quotes(rng: np.random.Generator, quotes: pl.DataFrame, drawn: pl.DataFrame) -> pl.DataFrame:
    """Write timed quotes; only the last of an opportunity can be accepted."""
    rows, count = quotes["opportunity"].to_numpy(), quotes.height
    discount = np.round(rng.beta(2, 12, count), 2)
    closed, won = drawn["is_closed"].to_numpy()[rows], drawn["won"].to_numpy()[rows]
    replaced = (
        quotes.select(pl.col("opportunity") == pl.col("opportunity").shift(-1, fill_value=-1)).to_series().to_numpy()
    )
    status = np.where(replaced, 3, np.where(closed, np.where(won, 1, 2), 0))
    return pl.DataFrame(
        {
            "id": ids("B", np.arange(count), digits=6),
            "created_at": moments(quotes["seconds"].to_numpy()),
            "opportunity_id": ids("O", rows, digits=7),
            "account_id": ids("A", drawn["account"].to_numpy()[rows], digits=5),
            "amount": np.round(drawn["amount"].to_numpy()[rows] * (1 - discount), 2),
            "discount_share": discount,
            "currency": pl.repeat(CURRENCY, count, eager=True),
            "valid_until": days(quotes["seconds"].to_numpy() // SECONDS_A_DAY + 30),
            "status": words(("sent", "accepted", "rejected", "replaced"), status),
        }
    )
