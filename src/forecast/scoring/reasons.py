"""Why a score is what it is: parts of its log-odds by theme, and the feature that says most for each."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.population import population_of
from forecast.registry import Version

REASONS_MAX = 5
REASON_LOG_ODDS_MIN = 0.02
PACE = "stage_pace"

_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "custom": r"(account_)?custom_.*",
        "evaluation": r"need_fit|purchasing_power|competition",
        "activity": r".*activit(y|ies).*|active_.*|next_step.*",
        "amount": r"amount.*|currency|quote.*|discount.*",
        "stage": r"stage.*|reached_.*|forecast_category.*|seller_probability|pipeline.*",
        "timing": r"age_days|moment_month|created_.*|quarter_.*|expected_close.*|planned_duration_days|close_date_.*",
        "source": r"source.*|campaign.*|type.*",
        "people": r"owner.*|team.*|contact.*|lead_title|email_known|phone_known",
        "product": r"product.*",
        "account": r"account.*|order.*|case.*|satisfaction.*|open_.*",
    }
)
THEMES = (*_PATTERNS, "other")

_REASON = pl.Struct(
    {
        "theme": pl.String(),
        "feature": pl.String(),
        "value": pl.String(),
        "usual": pl.Float64(),
        "usual_of": pl.String(),
        "contribution": pl.Float64(),
    }
)
_REASON_FIELDS = [field.name for field in _REASON.fields]
_USUAL = pl.Schema({"feature": pl.String(), "stage": pl.String(), "usual": pl.Float64(), "usual_of": pl.String()})
_THEME = pl.Struct({"theme": pl.String(), "contribution": pl.Float64()})


def theme_of(feature: str) -> str:
    """Give the theme of a feature; of one that fits none, `other`."""
    return next((theme for theme, pattern in _PATTERNS.items() if re.fullmatch(pattern, feature, re.DOTALL)), "other")


def reason_columns(features: pl.DataFrame, parts: Floats, version: Version) -> list[pl.Series]:
    """Give the reasons of each row.

    Args:
        features: as the version's plan gives them.
        parts: each feature's part of the log-odds, the bias in the last column.
        version: whose estimator gave the parts.

    Returns:
        `base` (the bias) and `themes` ({theme, contribution}), which together add up to the log-odds, and `reasons_for`,
        `reasons_against`: at most five themes each, strongest first, with the feature that pulls most, its value, and what
        is usual: the median among won opportunities at this stage (`usual_of` is `stage`) where enough are known, else among
        all won (`won`) or converted leads (`lead`).
    """
    names = version.estimator.encoding.features
    columns = _columns_by_theme(names)
    sums = _sums(parts, columns)
    usual = _usual_values(names, version)
    told = [
        _told(_strongest(sign, sums, parts, columns), features, names, list(columns), usual) for sign in (1.0, -1.0)
    ]
    return [
        pl.Series("base", parts[:, -1], dtype=pl.Float64),
        _themes(sums, list(columns)),
        told[0].alias("reasons_for"),
        told[1].alias("reasons_against"),
    ]


def _columns_by_theme(names: Sequence[str]) -> dict[str, list[int]]:
    themes = [theme_of(name) for name in names]
    found = {theme: [column for column, own in enumerate(themes) if own == theme] for theme in THEMES}
    return {theme: columns for theme, columns in found.items() if columns}


def _sums(parts: Floats, columns: Mapping[str, list[int]]) -> Floats:
    """Add up the parts of each theme, of shape (rows, themes)."""
    sums = np.zeros((len(parts), len(columns)))
    for number, members in enumerate(columns.values()):
        for column in members:  # one by one: numpy adds up one row in another order than many
            sums[:, number] += parts[:, column]
    return sums


def _themes(sums: Floats, themes: list[str]) -> pl.Series:
    """List each row's themes with their parts."""
    if not themes:
        return pl.Series("themes", [[]] * len(sums), dtype=pl.List(_THEME))
    parts = [
        pl.struct(theme=pl.lit(theme), contribution=pl.Series(part, dtype=pl.Float64))
        for theme, part in zip(themes, sums.T, strict=True)
    ]
    listed = pl.DataFrame({"row": range(len(sums))}).select(pl.concat_list(parts).alias("themes")).to_series()
    return listed.cast(pl.List(_THEME))


def _strongest(sign: float, sums: Floats, parts: Floats, columns: Mapping[str, list[int]]) -> pl.DataFrame:
    """Give, strongest first, the themes of each row that pull enough to one side: `row, theme, column, contribution`.

    `theme` is a number, `column` that of the feature that pulls most in the theme.
    """
    order = np.argsort(-sign * sums, axis=1, kind="stable")[:, :REASONS_MAX]
    row, place = np.nonzero(np.take_along_axis(sign * sums, order, axis=1) >= REASON_LOG_ODDS_MIN)
    theme = order[row, place]
    column = np.zeros(len(row), np.int64)
    for number, members in enumerate(columns.values()):
        of_theme = theme == number
        column[of_theme] = np.array(members)[(sign * parts[row[of_theme]][:, members]).argmax(axis=1)]
    return pl.DataFrame({"row": row, "theme": theme, "column": column, "contribution": sums[row, theme]})


def _told(
    strongest: pl.DataFrame, features: pl.DataFrame, names: Sequence[str], themes: list[str], usual: pl.DataFrame
) -> pl.Series:
    """Give each row's list of reasons; those of a row stay in their order."""
    stage = features["stage"] if "stage" in features.columns else pl.Series([None] * features.height, dtype=pl.String)
    told = (
        strongest.with_columns(
            pl.col("theme").replace_strict(dict(enumerate(themes)), return_dtype=pl.String),
            pl.col("column").replace_strict(dict(enumerate(names)), return_dtype=pl.String).alias("feature"),
            _shown(strongest, features, names).alias("value"),
            stage.gather(strongest["row"]).alias("stage"),
        )
        .join(usual.filter(pl.col("stage").is_not_null()), on=["feature", "stage"], how="left", maintain_order="left")
        .join(
            usual.filter(pl.col("stage").is_null()).drop("stage"),
            on="feature",
            how="left",
            suffix="_of_all",
            maintain_order="left",
        )
        .with_columns(pl.coalesce(name, f"{name}_of_all").alias(name) for name in ("usual", "usual_of"))
        .with_columns(_said_of_pace(strongest, features))
        .select("row", pl.struct(_REASON_FIELDS).alias("reasons"))
        .group_by("row", maintain_order=True)
        .agg("reasons")
    )
    rows = pl.DataFrame({"row": pl.int_range(features.height, eager=True)})
    listed = rows.join(told, on="row", how="left", maintain_order="left")["reasons"]
    return listed.cast(pl.List(_REASON)).fill_null([])


def _said_of_pace(strongest: pl.DataFrame, features: pl.DataFrame) -> list[pl.Expr]:
    """Tell a pace by its two durations: the days in the stage, and those that won opportunities had stayed there."""
    if PACE not in features.columns:
        return []
    # On the first instant both are 0 and tell nothing of what is usual.
    usual = (pl.col("stage_days") / pl.col(PACE)).fill_nan(None)
    took = features.select("stage_days", usual=usual)[strongest["row"]]
    is_pace = (pl.col("feature") == PACE) & pl.col("value").is_not_null()
    told: dict[str, pl.Series | pl.Expr] = {
        "value": pl.Series([_as_text(value) for value in took["stage_days"]], dtype=pl.String),
        "usual": took["usual"],
        "usual_of": pl.when(took["usual"].is_not_null()).then(pl.lit("stay")),
    }
    return [pl.when(is_pace).then(said).otherwise(name).alias(name) for name, said in told.items()]


def _usual_values(names: Sequence[str], version: Version) -> pl.DataFrame:
    """List what is usual of these features, and of whom: `feature, stage, usual, usual_of`; of all, the stage is missing."""
    of_all = "lead" if population_of(version.bundle.get("config", "")).kind == "lead" else "won"
    rows: list[tuple[str, str | None, float, str]] = [
        (name, None, value, of_all) for name, value in version.usual.items()
    ]
    for stage, usual in version.bundle.get("usual_by_stage", {}).items():
        rows += [(name, stage, value, "stage") for name, value in usual.items()]
    return pl.DataFrame([row for row in rows if row[0] in set(names)], schema=_USUAL, orient="row")


def _shown(strongest: pl.DataFrame, features: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """Give the values of these rows and columns as text, numbers with at most four decimals."""
    row, column = strongest["row"].to_numpy(), strongest["column"].to_numpy()
    shown = np.full(len(row), None, dtype=object)
    for number in np.unique(column):
        asked = column == number
        values = features[names[number]].gather(row[asked])
        shown[asked] = values.to_list() if values.dtype == pl.String else [_as_text(value) for value in values]
    return pl.Series(shown.tolist(), dtype=pl.String)


def _as_text(value: float | None) -> str | None:
    return None if value is None else f"{round(value, 4):.15g}"
