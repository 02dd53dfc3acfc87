from datetime import date

import numpy as np
import polars as pl
import pytest

from forecast.errors import InputError
from forecast.series.calendar import Calendar
from forecast.series.hierarchy import span_hierarchy, sum_inputs
from forecast.series.inputs import read_inputs
from forecast.series.panel import Panel

MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")


def panel_of(*names, count=36):
    """Make series of three years of months, 2020 to 2022."""
    return Panel(
        ids=names,
        history=(np.ones(count),) * len(names),
        ends=np.full(len(names), count - 1),
        calendar=MONTHLY,
        season=12,
    )


def written(path, rows, names="ds,promotion"):
    """Write rows as CSV; gives the path."""
    path.write_text(names + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def test_a_period_without_its_input_is_refused(tmp_path):
    """The error names the input, the series and the period."""
    path = written(tmp_path / "future.csv", [(MONTHLY.day(period), period % 2) for period in range(41)])
    assert read_inputs(path, panel_of("s0"), 5).future.shape == (1, 5, 1)
    with pytest.raises(InputError, match='promotion of series "s0" for 2023-06-01'):
        read_inputs(path, panel_of("s0"), 6)


def test_inputs_of_history_may_stand_with_the_series(tmp_path):
    """The file of inputs may hold the periods ahead alone, where the series' own file has them for the past."""
    days = [MONTHLY.day(period) for period in range(38)]
    past = written(tmp_path / "series.csv", [("s0", day, 5, 0) for day in days[:36]], "unique_id,ds,y,promotion")
    ahead = written(tmp_path / "future.csv", [("s0", day, 1) for day in days[36:]], "unique_id,ds,promotion")
    found = read_inputs(ahead, panel_of("s0"), 2, history=past)
    assert found.past[0].sum() == 0
    assert found.future.ravel().tolist() == [1, 1]


def test_quotas_of_quarters_hold_for_their_months(tmp_path):
    """Each month has the value of the quarter it lies in, and months of one quarter share its number."""
    path = written(tmp_path / "quota.csv", [(MONTHLY.day(3 * quarter), 100 + quarter) for quarter in range(14)])
    found = read_inputs(path, panel_of("s0"), 4)
    assert found.past[0][:4, 0].tolist() == [100, 100, 100, 101]
    assert found.future[0, :, 0].tolist() == [112, 112, 112, 113]
    assert np.diff(found.blocks[0])[:6].tolist() == [0, 0, 1, 0, 0, 1]


def test_quarters_may_be_named_by_their_last_day(tmp_path):
    """A quota of 31 March is that of January, February and March."""
    days = ["2019-12-31"] + [
        f"{year}-{day}" for year in (2020, 2021, 2022) for day in ("03-31", "06-30", "09-30", "12-31")
    ]
    path = written(tmp_path / "quota.csv", [(day, place + 1) for place, day in enumerate([*days, "2023-03-31"])])
    assert read_inputs(path, panel_of("s0"), 2).past[0][:4, 0].tolist() == [2, 2, 2, 3]


def test_what_is_never_zero_may_begin_late_and_end_early(tmp_path):
    """A quota that is known for the last year and the next quarter is unknown elsewhere; a gap between is refused."""
    rows = [(MONTHLY.day(period), 50) for period in range(24, 39)]
    found = read_inputs(written(tmp_path / "quota.csv", rows), panel_of("s0"), 6)
    assert np.isnan(found.past[0]).sum() == 24
    assert np.isnan(found.future).ravel().tolist() == [False] * 3 + [True] * 3
    with pytest.raises(InputError, match="2022-04-01"):
        read_inputs(written(tmp_path / "quota.csv", rows[:3] + rows[4:]), panel_of("s0"), 6)


def test_totals_have_the_sum_of_what_their_series_have(tmp_path):
    """A total's quota is the sum of its parts', and unknown where that of one is that sells."""
    rows = [("a", MONTHLY.day(period), 50) for period in range(38)]
    rows += [("b", MONTHLY.day(period), 20) for period in range(12, 38)]
    panel = panel_of("a", "b")
    hierarchy = span_hierarchy(pl.DataFrame({"unique_id": ["a", "b"], "team": ["x", "x"]}), ["team"])
    given = read_inputs(written(tmp_path / "quota.csv", rows, "unique_id,ds,quota"), panel, 2)
    total = sum_inputs(given, panel, hierarchy)
    assert np.isnan(total.past[0][:12]).all()
    assert set(total.past[0][12:, 0]) == {70}
    assert total.future[0].ravel().tolist() == [70, 70]


def test_a_column_that_says_nothing_of_what_comes_is_refused(tmp_path):
    """An input with no value ahead is named, even beside one that is known."""
    rows = [(MONTHLY.day(period), 50, "") for period in range(38)]
    with pytest.raises(InputError, match="no promotion of a period after 2022-12-01"):
        read_inputs(written(tmp_path / "quota.csv", rows, "ds,quota,promotion"), panel_of("s0"), 2)


def test_a_period_with_two_rows_is_refused(tmp_path):
    """The error names both rows, where otherwise the last would count."""
    rows = [(MONTHLY.day(period), 1) for period in range(38)]
    path = written(tmp_path / "future.csv", [*rows, (rows[4][0], 0)])
    with pytest.raises(InputError, match="2020-05-01 in rows 6 and 40"):
        read_inputs(path, panel_of("s0"), 2)


def test_files_that_differ_on_history_are_refused(tmp_path):
    """What the file of inputs says of history must be what the file of the series says, whether it names series or not."""
    days = [MONTHLY.day(period) for period in range(38)]
    past = written(tmp_path / "series.csv", [("s0", day, 5, 0) for day in days[:36]], "unique_id,ds,y,promotion")
    named = [("s0", days[3], 1), *(("s0", day, 1) for day in days[36:])]
    for path in (
        written(tmp_path / "named.csv", named, "unique_id,ds,promotion"),
        written(tmp_path / "shared.csv", [row[1:] for row in named]),
    ):
        with pytest.raises(
            InputError, match=r'promotion of series "s0" on 2020-04-01 is 1 in .* and 0 in .*series.csv'
        ):
            read_inputs(path, panel_of("s0"), 2, history=past)
