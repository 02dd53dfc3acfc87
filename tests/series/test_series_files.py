from datetime import date

import polars as pl
import pytest
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import FileError, InputError
from forecast.series.reading import read_series
from forecast.series.writing import write_table

TODAY = date(2024, 6, 15)


def write(folder, text, name="in.csv"):
    """Write a file of series."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def months(name, values, *, year=2021, group=None):
    """Write a monthly series as lines of a CSV."""
    tail = "" if group is None else f",{group}"
    return "".join(
        f"{name},{year + place // 12}-{place % 12 + 1:02}-01,{value}{tail}\n" for place, value in enumerate(values)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unique_id,when,y\na,2020-01-01,1\n", "no column ds .*日期.* found unique_id, when, y"),
        ("unique_id,ds,y\n", "has no rows"),
        ("unique_id,ds,y\na,2020-01-01,1\na,2020-02-01,12k\n", 'row 3, column y: "12k" is not a number'),
        ("unique_id,ds,y\na,2020-01-01,1\na,01.02.2020,2\n", 'row 3, column ds: "01.02.2020" is not a day'),
        ("unique_id,ds,y\na,2020-01-01,1\na,2020-01-01,2\na,2020-02-01,2\n", "has 2 rows for the .*2020-01-01"),
        ("unique_id,ds,y\na,2020-01-01,1\nb,2020-01-01,2\n", "frequency can't be inferred"),
        ("客户,日期,销售额\n甲,2020-01,1\n乙,2020-01,2\n", "if 客户 names the series, call that column unique_id"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(tmp_path, text, said):
    """An error names the row, the column, the value and what was expected."""
    with pytest.raises(InputError, match=said):
        read_series(write(tmp_path, text), levels=[], season=None, today=TODAY)


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path):
    """A missing file and one of another kind are told apart."""
    with pytest.raises(FileError, match="is not there"):
        read_series(tmp_path / "none.csv", levels=[], season=None, today=TODAY)
    with pytest.raises(FileError, match="neither"):
        read_series(write(tmp_path, "", "in.xlsx"), levels=[], season=None, today=TODAY)


def test_few_gaps_are_bridged_and_many_are_nothing_sold(tmp_path):
    """A month missing among many lies between its neighbours; a month that is usually missing is zero."""
    rows = months("a", range(24)).splitlines(keepends=True)
    few = read_series(
        write(tmp_path, "unique_id,ds,y\n" + "".join(rows[:5] + rows[6:])), levels=[], season=None, today=TODAY
    )
    many = read_series(
        write(tmp_path, "unique_id,ds,y\n" + "".join(rows[:2] + rows[2::3])), levels=[], season=None, today=TODAY
    )
    assert few.panel.history[0][5] == 5
    assert many.panel.history[0][3] == 0
    assert "1 of 24 periods" in few.remarks[0]


def test_a_period_that_is_not_over_is_no_history(tmp_path):
    """The month of today is kept apart, and never read as a drop."""
    path = write(tmp_path, "unique_id,ds,y\n" + months("a", [10] * 42))
    read = read_series(path, levels=[], season=None, today=TODAY)
    assert len(read.panel.history[0]) == 41
    assert read.partial == (date(2024, 6, 1), {"a": 10.0})
    assert read_series(path, levels=[], season=None, today=date(2024, 7, 1)).partial is None


@pytest.mark.parametrize(("day", "last"), [("2023-02-28", 26), ("2023-03-01", 27)])
def test_a_day_before_the_end_of_the_file_knows_nothing_of_later_periods(tmp_path, monkeypatch, day, last):
    """What is forecast as of an earlier day is what a file that ends with the period of that day gives; inputs stay."""
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FORECAST_TIMEZONE", "Asia/Shanghai")
    values = [100 + 10 * (place % 12) + place for place in range(40)]
    write(tmp_path, "unique_id,ds,y\n" + months("a", values), "all.csv")
    write(tmp_path, "unique_id,ds,y\n" + months("a", values[:last]), "then.csv")
    future = write(
        tmp_path, "unique_id,ds,promotion\n" + months("a", [int(place % 5 == 0) for place in range(48)]), "x.csv"
    )
    for name in ("all", "then"):
        command = ["outlook", "--series", str(tmp_path / f"{name}.csv"), "--horizon", "4", "--future", str(future)]
        done = CliRunner().invoke(app, [*command, "--as-of", day, "--out", str(tmp_path / f"{name}-out.csv")])
        assert done.exit_code == 0, done.output
        told = f"rows of periods that begin after {day} were not yet known and are left out: {40 - last}"
        assert (told in done.output) == (name == "all")
    written = (tmp_path / "all-out.csv").read_bytes()
    assert written == (tmp_path / "then-out.csv").read_bytes()
    assert f"a,{day[:7]}-01," in written.decode()


def test_a_day_before_the_file_is_refused(tmp_path):
    """Where every period begins after the day, there is nothing to learn from; what the clock says leaves nothing out."""
    path = write(tmp_path, "unique_id,ds,y\n" + months("a", [10] * 30))
    with pytest.raises(
        InputError, match="begins with the period of 2021-01-01, and nothing of it is known on 2020-12-31"
    ):
        read_series(path, levels=[], season=None, today=date(2020, 12, 31), as_of=date(2020, 12, 31))
    assert len(read_series(path, levels=[], season=None, today=date(2020, 12, 31)).panel.history[0]) == 30


def test_totals_of_the_file_are_not_series(tmp_path):
    """Rows with * in a level column name the totals, and are made again from their parts."""
    text = "unique_id,ds,y,region\n" + months("all", [3] * 20, group="*") + months("a", [1] * 20, group="N")
    read = read_series(
        write(tmp_path, text + months("b", [2] * 20, group="S")), levels=["region"], season=None, today=TODAY
    )
    assert read.panel.ids == ("a", "b")
    assert read.totals.rows() == [("all", "total", "*")]


def test_outlook_of_a_file_adds_up(tmp_path, monkeypatch):
    """From a file to a file: Chinese names, levels, totals that are the sum of their parts."""
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path / "home"))
    text = "unique_id,ds,y,大区\n" + "".join(
        months(f"{name}店", [100 + 10 * place + month % 12 for month in range(30)], group=group)
        for place, (name, group) in enumerate([("上海", "华东"), ("杭州", "华东"), ("广州", "华南"), ("深圳", "华南")])
    )
    source, target, draws = write(tmp_path, text), tmp_path / "out.csv", tmp_path / "draws.parquet"
    command = ["outlook", "--series", str(source), "--horizon", "3", "--levels", "大区", "--out", str(target)]
    done = CliRunner().invoke(app, [*command, "--draws", str(draws), "--as-of", "2024-06-15"])
    assert done.exit_code == 0, done.output
    frame = pl.read_csv(target)
    sums = {level: part["mean"].sum() for (level,), part in frame.group_by("level")}
    assert frame.columns[:4] == ["unique_id", "ds", "level", "大区"]
    assert sums["total"] == pytest.approx(sums["bottom"])
    assert sums["大区"] == pytest.approx(sums["bottom"])
    assert frame["ds"].unique().sort().to_list() == ["2023-07-01", "2023-08-01", "2023-09-01"]
    assert pl.read_parquet(draws).height == frame.height


def test_an_outlook_needs_a_file_it_can_write(tmp_path, monkeypatch):
    """The ending and the folder are checked before anything is computed."""
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path / "home"))
    command = ["outlook", "--series", str(tmp_path / "in.csv"), "--horizon", "3", "--out"]
    assert isinstance(CliRunner().invoke(app, [*command, str(tmp_path / "out.xls")]).exception, InputError)
    with pytest.raises(FileError, match="can't be written: there is no such folder"):
        raise CliRunner().invoke(app, [*command, str(tmp_path / "none" / "out.csv")]).exception


def test_a_file_that_can_not_be_written_stays_as_it_was(tmp_path):
    """What stood in the place of an outlook is replaced whole or not at all, and nothing is left beside it."""
    path = write(tmp_path, "kept")
    with pytest.raises(FileError, match="can't be written"):
        write_table(pl.DataFrame({"lists": [[1, 2]]}), path)
    assert path.read_text(encoding="utf-8") == "kept"
    assert list(tmp_path.iterdir()) == [path]
