"""Tables of the model card: grades, segments, ages and stages, and what is learnt from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.estimators.win import WinModel
from forecast.metrics import Floats, expected_calibration_error, log_losses
from forecast.scoring.grades import GRADES, GradePolicies, grade_records, usual_thresholds
from forecast.scoring.reasons import THEMES, theme_of
from training.dataset import Dataset
from training.gates import Judged, Outcomes

SEGMENTS = ("stage", "team_id", "source", "account_region", "product_line", "product_id", "campaign_id")
SEGMENT_ROWS_MIN = 30
ECE_ROWS_MIN = 200
EXPLAINED_ROWS_MAX = 300
_AGE_BANDS = (1.0, 30.0, 90.0, 180.0)
_AGE_NAMES = ("on the first day", "to 30 days", "to 90 days", "to 180 days", "older")


def grades_table(judged: Judged, rows: pl.DataFrame) -> str:
    """Tell how many of each grade were won, by the thresholds that training proposes.

    Args:
        judged: rows that the version had not seen.
        rows: their features.
    """
    share = float(np.average(judged.won, weights=judged.weight))
    thresholds = usual_thresholds(share, rows["amount"] * share)
    records = rows.with_columns(probability=pl.Series(judged.ours), last_grade=pl.lit(None, pl.String))
    graded = pl.DataFrame({"grade": grade_records(GradePolicies(default=thresholds), records), "won": judged.won})
    lines = [_grade_line(name, graded) for name in reversed(GRADES)]
    note = (
        f"Probability is high from {thresholds.probability_high:.2f} and medium from {thresholds.probability_medium:.2f}, "
        "crossed with expected value and ratings. Thresholds in force may differ: `forecast policy show`."
    )
    head = "| grade | rows | won | lost | share won | of all wins |\n|---|---:|---:|---:|---:|---:|"
    return "## At the grades\n\n" + note + "\n\n" + "\n".join([head, *lines])


def _grade_line(name: str, graded: pl.DataFrame) -> str:
    rows = graded.filter(pl.col("grade") == name)
    won, all_won = float(rows["won"].sum()), max(float(graded["won"].sum()), 1.0)
    share = f"{won / rows.height:.1%}" if rows.height else ""
    return f"| {name} | {rows.height} | {won:.0f} | {rows.height - won:.0f} | {share} | {won / all_won:.1%} |"


def segments_table(judged: Judged, rows: pl.DataFrame) -> str:
    """Tell how right the version was in each segment, age and stage of SEGMENT_ROWS_MIN rows or more."""
    parts = list(_parts(judged, rows))
    if not parts:
        return ""
    note = (
        "± is the standard error of won less predicted, over opportunities; ECE the calibration error over 15 bins, from "
        f"{ECE_ROWS_MIN} rows on: of fewer it is mostly chance."
    )
    head = "| | | rows | won | predicted | ± | ECE | log loss |\n|---|---|---:|---:|---:|---:|---:|---:|"
    lines = [_segment_line(part) for part in parts]
    return "\n\n".join(["## By segment, age and stage", note, "\n".join([head, *lines]), _furthest_off(parts)])


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Judged rows of one segment."""

    column: str
    value: str
    judged: Outcomes
    ours: Floats

    @property
    def won(self) -> float:
        return float(np.average(self.judged.won, weights=self.judged.weight))

    @property
    def predicted(self) -> float:
        return float(np.average(self.ours, weights=self.judged.weight))

    @property
    def error(self) -> float:
        """Give the standard error of the difference of both; rows of one opportunity are not independent."""
        sums = np.bincount(self.judged.groups, weights=self.judged.weight * (self.judged.won - self.ours))
        return float(np.sqrt(np.sum(sums**2)) / self.judged.weight.sum())


def _parts(judged: Judged, rows: pl.DataFrame) -> Iterator[_Part]:
    band = np.searchsorted(_AGE_BANDS, rows["age_days"].fill_null(0).to_numpy(), side="right")
    age = pl.Series([_AGE_NAMES[number] for number in band])
    columns = {"age": age, **{name: rows[name] for name in SEGMENTS if name in rows.columns}}
    for column, values in columns.items():
        known = values.drop_nulls()
        names = _AGE_NAMES if column == "age" else known.unique().sort().to_list()
        for value in names:
            inside = (values == value).fill_null(value=False).to_numpy()
            if inside.sum() >= SEGMENT_ROWS_MIN:
                own = Outcomes(won=judged.won[inside], weight=judged.weight[inside], groups=judged.groups[inside])
                yield _Part(column=column, value=value, judged=own, ours=judged.ours[inside])


def _segment_line(part: _Part) -> str:
    own, count = part.judged, len(part.ours)
    ece = f"{expected_calibration_error(own.won, part.ours):.3f}" if count >= ECE_ROWS_MIN else ""
    loss = float(np.average(log_losses(own.won, part.ours), weights=own.weight))
    return (
        f"| {part.column} | {part.value} | {count} | {part.won:.1%} | {part.predicted:.1%} | {part.error:.1%} | {ece} "
        f"| {loss:.4f} |"
    )


def _furthest_off(parts: list[_Part]) -> str:
    """Name the segment whose level is furthest off, in standard errors."""

    def errors(part: _Part) -> float:
        return abs(part.won - part.predicted) / max(part.error, 1e-9)

    worst = max(parts, key=errors)
    return (
        f"Furthest off, with {errors(worst):.1f} standard errors: {worst.column} {worst.value}, "
        f"predicted {worst.predicted:.1%}, won {worst.won:.1%}. Above 3, look at it."
    )


def limits_section(dataset: Dataset, rows: pl.DataFrame) -> str:
    """Tell what the figures can't speak of."""
    still_open = dataset.keys.filter(pl.col("won").is_null())["opportunity_id"].n_unique()
    lines = [
        f"- {still_open} records were still open: they taught nothing, and those that never close are not spoken of."
    ]
    moments = rows["as_of"].drop_nulls()
    if len(moments):
        days = moments.sort().dt.strftime("%Y-%m-%d")
        first, last = days[0], days[-1]
        lines.append(
            f"- The rows that judge are of {first} to {last}; of changes since, the figures "
            "know nothing. `forecast accuracy` and `forecast backtest` look further."
        )
    return "## Known limits\n\n" + "\n".join(lines)


def themes_table(model: WinModel, rows: pl.DataFrame, left_out: int) -> str:
    """Tell how many features of each theme are learnt from, and how much each theme moves scores."""
    spread = rows.gather_every(-(-max(1, rows.height) // EXPLAINED_ROWS_MAX))
    parts = model.explain(spread)[1][:, :-1]
    themes = [theme_of(name) for name in model.encoding.features]
    moved = {
        theme: float(np.abs(sum(parts[:, i] for i, own in enumerate(themes) if own == theme)).mean())
        for theme in THEMES
        if theme in themes
    }
    total = sum(moved.values()) or 1.0
    lines = [
        f"| {theme} | {themes.count(theme)} | {move / total:.1%} |"
        for theme, move in sorted(moved.items(), key=lambda item: -item[1])
    ]
    head = "| theme | features | share of what moves scores |\n|---|---:|---:|"
    note = f"{len(themes)} features that vary, {left_out} left out as suspicious."
    return "## What it learns from\n\n" + note + "\n\n" + "\n".join([head, *lines])
