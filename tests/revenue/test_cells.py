from datetime import date

import numpy as np
import polars as pl
import pytest

from forecast.errors import InputError
from forecast.revenue.cells import BOUNDS, CELL_TYPES, check_cells, draws_of

DRAWS = {("company", ""): [5.0, 9.0], ("person", "U1"): [2.0, 4.0], ("person", "nobody"): [3.0, 5.0]}


def cells(draws=DRAWS):
    """Give one month of the units in `draws`."""
    numbers = {"won": 1.0, "open": 2.0, "new": 3.0, "series": None, "mean": 6.0, **dict.fromkeys(BOUNDS, 1.0)}
    rows = [
        {"level": level, "unit_id": unit, "unit_name": unit, "month": date(2026, 11, 1), **numbers, "draws": values}
        for (level, unit), values in draws.items()
    ]
    return pl.DataFrame(rows, schema=CELL_TYPES)


def test_cells_that_add_up_are_given_back():
    """A frame as the contract says passes as it came, and its draws are read as cells times draws."""
    assert check_cells(cells()).equals(cells())
    assert np.array_equal(draws_of(cells()), list(DRAWS.values()))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (cells(DRAWS | {("person", "U1"): [2.0, 4.5]}), "don't add up"),
        (cells(DRAWS | {("person", "U1"): [2.0]}), "several lengths"),
        (cells(DRAWS | {("branch", "B"): [5.0, 9.0]}), "branch"),
        (pl.concat([cells(), cells()]), "twice"),
        (cells().drop("series"), "have the columns"),
        (cells().with_columns(month=date(2026, 11, 2)), "first days"),
    ],
)
def test_cells_that_break_the_contract_are_refused(broken, said):
    """What is not as the contract says is refused, with what is wrong."""
    with pytest.raises(InputError, match=said):
        check_cells(broken)
