"""Why a score is what it is: parts of its log-odds by theme, and the feature that says most for each."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.metrics import Floats
from forecast.population import population_of
from forecast.registry import Version

REASONS_MAX = 5
REASON_LOG_ODDS_MIN = 0.02

_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "custom": r"(account_)?custom_.*",
        "evaluation": r"need_fit|purchasing_power|competition",
        "activity": r".*activit(y|ies).*|active_.*|inbound_.*",
        "amount": r"amount.*|currency|quote.*|discount.*",
        "stage": r"stage.*|reached_.*|forecast_category.*|seller_probability|pipeline.*",
        "timing": r"age_days|created_.*|quarter_.*|expected_close.*|planned_duration_days|close_date_.*",
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
    shown = [_shown(features[name]) for name in names]
    usual = _usual_values(features, version)

    def reason(row: int, number: int, column: int) -> dict[str, Any]:
        feature = names[column]
        value, of = usual[row].get(feature, (None, None))
        return {
            "theme": themes[number],
            "feature": feature,
            "value": shown[column][row],
            "usual": value,
            "usual_of": of,
            "contribution": float(sums[row, number]),
        }

    themes = list(columns)
    told = [
        [
            [reason(row, number, pull[row, number]) for number in _strongest(sign * sums[row])]
            for row in range(features.height)
        ]
        for sign in (1.0, -1.0)
        for pull in (_strongest_features(sign * parts, columns),)
    ]
    listed = [
        [{"theme": theme, "contribution": float(part)} for theme, part in zip(themes, row, strict=True)] for row in sums
    ]
    return [
        pl.Series("base", parts[:, -1], dtype=pl.Float64),
        pl.Series("themes", listed, dtype=pl.List(_THEME)),
        pl.Series("reasons_for", told[0], dtype=pl.List(_REASON)),
        pl.Series("reasons_against", told[1], dtype=pl.List(_REASON)),
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


def _strongest(pulls: Floats) -> list[int]:
    """Give the themes that pull enough, strongest first."""
    return [
        int(number)
        for number in np.argsort(-pulls, kind="stable")[:REASONS_MAX]
        if pulls[number] >= REASON_LOG_ODDS_MIN
    ]


def _strongest_features(pulls: Floats, columns: Mapping[str, list[int]]) -> NDArray[np.int64]:
    """Give the column of the feature that pulls most in each theme, of shape (rows, themes)."""
    if not columns:
        return np.zeros((len(pulls), 0), dtype=np.int64)
    strongest = [np.array(members)[pulls[:, members].argmax(axis=1)] for members in columns.values()]
    return np.stack(strongest, axis=1)


def _usual_values(features: pl.DataFrame, version: Version) -> list[Mapping[str, tuple[float, str]]]:
    """Give what is usual of each feature, and of whom, for each row's stage."""
    of_all = "lead" if population_of(version.bundle.get("config", "")).kind == "lead" else "won"
    overall = {name: (value, of_all) for name, value in version.usual.items()}
    by_stage = {
        stage: overall | {name: (value, "stage") for name, value in usual.items()}
        for stage, usual in version.bundle.get("usual_by_stage", {}).items()
    }
    stages = features["stage"].to_list() if "stage" in features.columns else [None] * features.height
    return [by_stage.get(stage, overall) for stage in stages]


def _shown(column: pl.Series) -> list[str | None]:
    """Give values as text, numbers with at most four decimals."""
    if column.dtype == pl.String:
        return column.to_list()
    return [None if value is None else f"{round(value, 4):.15g}" for value in column.to_list()]
