"""How right kept forecasts were: held against what landed, beside the weighted pipeline and the same month of last year."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy.orm import Session

from forecast.errors import ForecastError, TooLittleHistoryError
from forecast.registry import PRIOR_SUFFIX
from forecast.revenue.cells import LEVELS
from forecast.revenue.currencies import check_currency
from forecast.revenue.records import Sales, SalesRecords, known_currencies, months_ahead, read_sales
from forecast.revenue.yardsticks import seasonal_naives, weighted_pipelines
from forecast.revenue_records import read_deal_records
from forecast.runs.booked import find_bookings, sum_bookings
from forecast.runs.deals import read_kept_deals
from forecast.runs.keeping import Run, list_runs, read_cells

_COVERED = (50, 80, 95)
# Where nothing more is expected a bound is what is booked already, but for rounding.
_CENT = 0.01


@dataclass(frozen=True, kw_only=True)
class HorizonAccuracy:
    """How right the forecasts of one level were so many months ahead, 0 being the month in which they were made.

    Attributes:
        cells: units and months that were judged, of `runs` forecasts.
        wape: sum of absolute errors as a share of what landed; missing where nothing landed. Likewise of the peers.
        bias: what was forecast too much, as a share of what landed.
        coverage_50, coverage_80, coverage_95: shares of cells within their range.
    """

    level: str
    horizon: int
    runs: int
    cells: int
    wape: float | None
    wape_pipeline: float | None
    wape_naive: float | None
    bias: float | None
    coverage_50: float
    coverage_80: float
    coverage_95: float


@dataclass(frozen=True, kw_only=True)
class ForecastAccuracy:
    """Accuracy by level and horizon.

    Attributes:
        runs: forecasts that were judged: the first of each calendar month, of which a month is over.
        hindsight: forecasts left out, as their version knew what came after their moment, or is not on this host.
        remarks: what is not judged, in sentences.
    """

    runs: int
    hindsight: int
    horizons: tuple[HorizonAccuracy, ...]
    remarks: tuple[str, ...]


def measure_forecasts(
    session: Session, *, now: datetime, timezone: str, known_until: Mapping[str, datetime]
) -> ForecastAccuracy:
    """Hold kept forecasts against the months that are over by now.

    Args:
        session: an open transaction.
        now: what is booked at or later is not known.
        timezone: of months.
        known_until: the moment up to which each version knew the world, by its id.

    Raises:
        TooLittleHistoryError: no month of a kept forecast is over.
    """
    kept = list_runs(session, until=now)
    honest = [run for run in kept if _is_honest(run, known_until)]
    records = read_deal_records(session, timezone=timezone)
    this_month = now.astimezone(ZoneInfo(timezone)).date().replace(day=1)
    countable = [run for run in honest if _is_countable(run, records, now)]
    counted = _first_of_months(countable, timezone)
    landed = {
        currency: sum_bookings(find_bookings(records, now, currency=currency)).rename({"won": "landed"})
        for currency in {run.currency for run in counted}
    }
    frames = [_judge(session, records, run, landed[run.currency], this_month) for run in counted]
    judged, left_out = [frame for frame in frames if frame.height], _uncounted(len(honest) - len(countable))
    if not judged:
        hindsight = [f"{len(kept) - len(honest)} were made in hindsight"] if len(honest) < len(kept) else []
        said = "; ".join([f"of {len(kept)} kept forecasts no month that counts is over yet", *hindsight, *left_out])
        raise TooLittleHistoryError(
            f"{said}: nothing can be said of them; `forecast outlook --as-of MOMENT` keeps forecasts of past moments"
        )
    rows = pl.concat(judged)
    return ForecastAccuracy(
        runs=len(judged),
        hindsight=len(kept) - len(honest),
        horizons=tuple(_horizons(rows.drop_nulls("mean"))),
        remarks=(*left_out, *_remarks(rows)),
    )


def _is_countable(run: Run, records: SalesRecords, now: datetime) -> bool:
    """Tell whether the amounts of its currency can be told from others', as known at its moment and now."""
    try:
        for moment in (run.as_of, now):
            check_currency(run.currency, known_currencies(records, moment))
    except ForecastError:
        return False
    return True


def _uncounted(count: int) -> list[str]:
    if not count:
        return []
    said = "1 kept forecast is" if count == 1 else f"{count} kept forecasts are"
    return [f"{said} not judged: in its currency, or without one, what landed can't be told among the amounts of now"]


def _is_honest(run: Run, known_until: Mapping[str, datetime]) -> bool:
    """Tell whether a forecast knew nothing of what came.

    Without a version, or with one that serves the usual weights, it learnt from what was before its moment.
    """
    if run.version is None or run.version.endswith(PRIOR_SUFFIX):
        return True
    return run.version in known_until and known_until[run.version] <= run.as_of


def _first_of_months(runs: Sequence[Run], timezone: str) -> list[Run]:
    firsts: dict[tuple[int, int], Run] = {}
    for run in sorted(runs, key=lambda run: (run.as_of, run.id)):
        day = run.as_of.astimezone(ZoneInfo(timezone))
        firsts.setdefault((day.year, day.month), run)
    return list(firsts.values())


def _judge(session: Session, records: SalesRecords, run: Run, landed: pl.DataFrame, this_month: date) -> pl.DataFrame:
    """Give the cells of a run whose months are over, with what landed and what the peers said.

    What landed of a unit that the run did not know has a row besides, in which nothing was forecast.
    """
    cells = read_cells(session, run.id).filter(pl.col("draws").list.len() > 0).drop("draws")
    ahead = pl.col("month").rank("dense").cast(pl.Int64) - 1
    over = cells.with_columns(horizon=ahead).filter(pl.col("month") < this_month)
    if over.is_empty():
        return over
    foreseen = over.select("level", "month", "horizon").unique()
    here = landed.filter(pl.col("landed") != 0).join(foreseen, on=["level", "month"], how="semi")
    return (
        over.drop("horizon")
        .join(here, on=["level", "unit_id", "month"], how="full", coalesce=True)
        .join(foreseen, on=["level", "month"], how="left")
        .join(_peers(session, records, run, cells), on=["level", "unit_id", "month"], how="left", maintain_order="left")
        .with_columns(pl.col("landed").fill_null(0), pl.lit(run.id).alias("run_id"))
    )


def _peers(session: Session, records: SalesRecords, run: Run, cells: pl.DataFrame) -> pl.DataFrame:
    """Give `level, unit_id, month, pipeline, naive` as they would have been said at the run's moment."""
    sales = _as_seen(read_sales(records, run.as_of, currency=run.currency), read_kept_deals(session, run.id))
    months = months_ahead(run.as_of, cells["month"].n_unique(), records.timezone)
    keys, levels = ["level", "unit_id", "month"], cells["level"].unique().to_list()
    said = {
        "pipeline": weighted_pipelines(sales, months, levels),
        "naive": seasonal_naives(sales, months, levels),
    }
    found = cells.select(keys)
    for name, values in said.items():
        found = found.join(values.rename({"value": name}), on=keys, how="left", maintain_order="left")
    return found.with_columns(pl.col(*said).fill_null(0.0))


def _as_seen(sales: Sales, kept: pl.DataFrame) -> Sales:
    """Give open opportunities the values that the run saw, whatever was overwritten since."""
    seen = kept.select("opportunity_id", "stage", "expected_close_on", "seller_probability")
    opportunities = sales.history.opportunities.update(seen, on="opportunity_id", include_nulls=True)
    deals = sales.deals.update(kept.select("opportunity_id", "amount"), on="opportunity_id", include_nulls=True)
    return replace(sales, history=replace(sales.history, opportunities=opportunities), deals=deals)


def _remarks(rows: pl.DataFrame) -> Iterator[str]:
    """Say of each level how many units sold that no forecast of the month had."""
    unknown = pl.col("mean").is_null()
    share = pl.col("landed").filter(unknown).abs().sum() / pl.col("landed").abs().sum()
    counts = rows.group_by("level").agg(
        pl.col("unit_id").filter(unknown).n_unique().alias("units"), share.alias("share")
    )
    found = {level: (units, share) for level, units, share in counts.iter_rows()}
    for level in LEVELS:
        units, share = found.get(level, (0, 0.0))
        if units:
            said = f"1 {level}" if units == 1 else f"{units} units"
            yield (
                f"by {level}: {said} with {share:.0%} of what landed were in no forecast of that month yet, and are not judged"
            )


def _horizons(judged: pl.DataFrame) -> Iterator[HorizonAccuracy]:
    landed = pl.col("landed").abs().sum()

    def wape(said: str) -> pl.Expr:
        return pl.when(landed > 0).then((pl.col(said) - pl.col("landed")).abs().sum() / landed)

    def covered(width: int) -> pl.Expr:
        within = pl.col("landed").is_between(pl.col(f"lo-{width}") - _CENT, pl.col(f"hi-{width}") + _CENT)
        return within.mean().alias(f"coverage_{width}")

    rows = (
        judged.group_by("level", "horizon")
        .agg(
            pl.col("run_id").n_unique().alias("runs"),
            pl.len().alias("cells"),
            wape("mean").alias("wape"),
            wape("pipeline").alias("wape_pipeline"),
            wape("naive").alias("wape_naive"),
            pl.when(landed > 0).then((pl.col("mean") - pl.col("landed")).sum() / landed).alias("bias"),
            *(covered(width) for width in _COVERED),
        )
        .sort(pl.col("level").cast(pl.Enum(LEVELS)), "horizon")
    )
    for row in rows.iter_rows(named=True):
        yield HorizonAccuracy(**row)
