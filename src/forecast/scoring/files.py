"""Files of scoring: which opportunities at which moments go in, scores come out."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from forecast.errors import FileError, InputError
from forecast.moments import read_moment

REASONS = ("reasons_for", "reasons_against")


def read_subjects(path: Path, timezone: str, *, kind: str = "opportunity") -> pl.DataFrame:
    """Read a CSV with columns `opportunity_id` (`lead_id` for leads; or `id`) and `as_of`.

    Returns:
        `opportunity_id, as_of` in the file's order.

    Raises:
        FileError: there is no such file, or it is not a CSV.
        InputError: a column is missing, or a moment can't be read.
    """
    key = f"{kind}_id"
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise FileError(f"{path} is not there; give a CSV with the columns {key} and as_of") from error
    except pl.exceptions.PolarsError as error:
        raise FileError(f"{path} is not a readable CSV: {error}") from error
    if key not in frame.columns and "id" in frame.columns:
        frame = frame.rename({"id": key})
    missing = {key, "as_of"} - set(frame.columns)
    if missing:
        raise InputError(f"{path} has no column {' and no '.join(sorted(missing))}; found {', '.join(frame.columns)}")
    moments = []
    for row, text in enumerate(frame["as_of"], start=2):
        try:
            moments.append(read_moment(text or "", timezone))
        except InputError as error:
            raise InputError(f"{path}, row {row}, column as_of: {error}") from error
    return frame.select(
        pl.col(key).alias("opportunity_id"), pl.Series("as_of", moments, dtype=pl.Datetime("us", "UTC"))
    )


def write_scores_file(
    scores: pl.DataFrame, path: Path, *, say: Callable[[Mapping[str, Any]], str], kind: str = "opportunity"
) -> None:
    """Write scores, with `opportunity_id` or `lead_id`, as Parquet where the path ends so, else as CSV.

    What is said of an opportunity's closing are columns, `won_by_2026-11` for each month. Reasons are JSON lists, each with its
    sentence, nothing where none were asked for.

    Args:
        scores: as `scores.score_opportunities` gives them.
        path: of the file.
        say: gives the sentence of a reason.
        kind: of the records.
    """
    reasons = [
        pl.Series(name, [_json(value, say) for value in scores[name].to_list()], dtype=pl.String) for name in REASONS
    ]
    table = scores.select(
        pl.col("opportunity_id").alias(f"{kind}_id"),
        "as_of",
        "probability",
        "probability_low",
        "probability_high",
        "grade",
        "trend",
        "expected_value",
        "basis",
        pl.col("version").alias("model_version"),
        *(_closing_columns(scores) if kind == "opportunity" else []),
        *reasons,
    )
    if path.suffix.lower() == ".parquet":
        table.write_parquet(path)
    else:
        table.with_columns(pl.col("as_of").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")).write_csv(path)


def told_reasons(scores: pl.DataFrame) -> list[dict[str, Any]]:
    """List the reasons of all scores, as `scores.score_opportunities` gives them."""
    return [reason for name in REASONS for reasons in scores[name].to_list() if reasons for reason in reasons]


def _json(reasons: list[dict[str, Any]] | None, say: Callable[[Mapping[str, Any]], str]) -> str | None:
    if reasons is None:
        return None
    return json.dumps([{"sentence": say(reason), **reason} for reason in reasons], ensure_ascii=False)


def _closing_columns(scores: pl.DataFrame) -> list[pl.Series]:
    """Give the dates, and a column for each month that any row speaks of; empty in the rows that do not."""
    row = scores.select(pl.int_range(pl.len()).alias("row"), "won_by")
    months = (
        row.explode("won_by")
        .unnest("won_by")
        .with_columns(pl.col("month_end").dt.strftime("won_by_%Y-%m"))
        .sort("month_end", "row")
        .pivot("month_end", index="row", values="probability")
        .sort("row")
    )
    dates = ("expected_close_on", "expected_close_low", "expected_close_high", "probability_of_slipping")
    return [*scores.select(dates), *months.drop("row")]
