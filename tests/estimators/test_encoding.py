import json

import numpy as np
import polars as pl
from fitted import frame

from forecast.estimators.encoding import LEVEL_ROWS_MIN, LEVELS_MAX, Encoding, fit_encoding


def test_columns_that_say_nothing_are_dropped():
    """Constant, wholly missing and identifying columns, and those left out on purpose, take no part."""
    features = frame().with_columns(
        pl.lit("one").alias("same_text"),
        pl.lit(None, pl.String).alias("empty_text"),
        pl.lit(None, pl.Float64).alias("empty"),
    )
    assert fit_encoding(features).features == ("age_days", "size", "source", "channel")
    assert fit_encoding(features, frozenset({"size", "source"})).features == ("age_days", "channel")


def test_a_column_that_is_only_sometimes_there_is_kept():
    """Being missing can tell something too."""
    features = pl.DataFrame({"n": [1.0, None] * 20, "c": ["a", None] * 20})
    assert fit_encoding(features).features == ("n", "c")


def test_levels_need_enough_rows():
    """A rare level is one of the others; frequent ones are coded by frequency, ties by name."""
    texts = (
        ["b"] * LEVEL_ROWS_MIN + ["c"] * LEVEL_ROWS_MIN + ["a"] * (LEVEL_ROWS_MIN + 1) + ["rare"] * (LEVEL_ROWS_MIN - 1)
    )
    encoding = fit_encoding(pl.DataFrame({"c": texts}))
    assert encoding.levels == {"c": ("a", "b", "c")}
    assert encoding.matrix(pl.DataFrame({"c": ["a", "c", "rare", "never seen", None]})).tolist()[:4] == [
        [0],
        [2],
        [3],
        [3],
    ]


def test_levels_are_limited():
    """No more than LEVELS_MAX levels of a category are told apart."""
    texts = [f"{level:03d}" for level in range(LEVELS_MAX + 20)] * LEVEL_ROWS_MIN
    assert len(fit_encoding(pl.DataFrame({"c": texts})).levels["c"]) == LEVELS_MAX


def test_missing_values_are_not_numbers():
    """Missing numbers and categories are NaN in the matrix."""
    encoding = Encoding(numbers=("n",), levels={"c": ("a",)})
    matrix = encoding.matrix(pl.DataFrame({"n": [None, 2.0], "c": ["a", None]}))
    assert np.isnan(matrix).tolist() == [[True, False], [False, True]]
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous


def test_no_rows_and_no_columns_have_their_shapes():
    """An empty frame gives no rows, an empty encoding no columns."""
    encoding = fit_encoding(frame())
    assert encoding.matrix(frame()[:0]).shape == (0, 4)
    assert fit_encoding(frame()[:0]) == Encoding(numbers=(), levels={})
    assert encoding.category_positions == [2, 3]


def test_the_order_of_columns_in_the_frame_does_not_matter():
    """The matrix follows the encoding."""
    encoding, features = fit_encoding(frame()), frame()
    turned = features.select(reversed(features.columns))
    assert np.array_equal(encoding.matrix(turned), encoding.matrix(features), equal_nan=True)


def test_the_order_of_columns_survives_json():
    """Even where a writer sorts keys, each column keeps its place, on which the trees rely."""
    encoding = fit_encoding(frame())
    back = Encoding.from_json(json.loads(json.dumps(encoding.to_json(), sort_keys=True)))
    assert back == encoding
    assert back.features == encoding.features == ("age_days", "size", "source", "channel")
