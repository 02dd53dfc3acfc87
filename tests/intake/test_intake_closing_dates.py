"""When opportunities closed, told by the history of their stages."""

from datetime import UTC, datetime

import polars as pl
import pytest

DEALS = """Deal ID,Create Date,Deal Stage,Amount
D1,2026-01-05,Closed Won,100
D2,2026-01-06,Closed Lost,200
D3,2026-01-07,Proposal,300
D4,2026-01-08,Proposal,400
D5,2026-01-09,Closed Won,500
"""
MOVES = """Deal ID,Change Date,Field,Old Value,New Value
D1,2026-02-01 10:00:00,Deal Stage,Qualified,Proposal
D1,2026-02-03 10:00:00,Deal Stage,Proposal,Closed Won
D2,2026-02-05 10:00:00,Deal Stage,Qualified,Closed Lost
D3,2026-02-06 10:00:00,Deal Stage,Qualified,Proposal
D4,2026-02-07 10:00:00,Deal Stage,Qualified,Proposal
"""


def moment(text):
    """Give a moment of February 2026, UTC."""
    return datetime.fromisoformat(f"2026-02-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize("first", ["deals", "moves"])
def test_a_closing_is_dated_by_the_stage_it_ended_in(load, stored, first):
    """Whichever file comes first, the last move says when; without a move nobody knows, and open ones have no such date."""
    files = {"deals": (DEALS, "deals.csv"), "moves": (MOVES, "deal_stage_history.csv")}
    reports = [load(*files[name]) for name in sorted(files, reverse=first == "moves")]
    assert "2 closed opportunities had no closing date" in reports[1].warnings[-1]
    found = {name: row.closed_at for name, row in stored().items()}
    assert found == {"D1": moment("03 10:00"), "D2": moment("05 10:00")} | dict.fromkeys(("D3", "D4", "D5"))


def test_the_file_knows_better(load, stored):
    """A closing date that is given stays, and importing the same files again changes nothing."""
    dates = pl.Series("Closed At", ["2026-02-20 09:00:00", None, None, None, None])
    given = pl.read_csv(DEALS.encode()).with_columns(dates).write_csv()
    load(given, "deals.csv")
    load(MOVES, "deal_stage_history.csv")
    again = load(given, "deals.csv")
    assert (again.changed, again.warnings) == (0, ())
    found = stored()
    assert [found[name].closed_at for name in ("D1", "D2")] == [moment("20 09:00"), moment("05 10:00")]


def test_a_stage_where_open_ones_stand_is_no_end(load, stored):
    """Lost at a stage on the way closed at an unknown moment: entering that stage was not the end."""
    status = pl.Series("Status", ["Won", "Lost", "Open", "Lost", "Won"])
    load(pl.read_csv(DEALS.encode()).with_columns(status).write_csv(), "deals.csv")
    load(MOVES, "deal_stage_history.csv")
    found = stored()
    assert (found["D4"].status, found["D4"].closed_at) == ("lost", None)
    assert found["D2"].closed_at == moment("05 10:00")


def test_a_stage_that_is_often_left_is_no_end(load, stored):
    """Where closed records went on from a stage, having entered it tells no closing."""
    reopened = (
        MOVES
        + "D5,2026-02-08 10:00:00,Deal Stage,Qualified,Closed Lost\nD5,2026-02-09 10:00:00,Deal Stage,Closed Lost,Closed Won\n"
    )
    load(DEALS, "deals.csv")
    load(reopened, "deal_stage_history.csv")
    found = stored()
    assert found["D2"].closed_at is None
    assert found["D5"].closed_at == moment("09 10:00")


def test_what_is_told_again_is_not_entered_again(load, stored):
    """A history that repeats the stage with every other change tells when it was entered by the first such row."""
    load(DEALS, "deals.csv")
    load(
        """Deal ID,Change Date,Field,New Value
D1,2026-02-01 10:00:00,Deal Stage,Proposal
D1,2026-02-03 10:00:00,Deal Stage,Closed Won
D1,2026-02-20 10:00:00,Deal Stage,Closed Won
""",
        "deal_stage_history.csv",
    )
    assert stored()["D1"].closed_at == moment("03 10:00")


def test_what_is_open_again_closes_when_it_ends_again(load, stored):
    """An opportunity that was opened again has no closing date, and then that of its last end."""
    again = DEALS.replace("D1,2026-01-05,Closed Won", "D1,2026-01-05,Proposal")
    moves = "Deal ID,Change Date,Field,Old Value,New Value\nD1,2026-02-{} 10:00:00,Deal Stage,{}\n"
    load(DEALS, "deals.csv")
    load(
        MOVES + "".join(f"D{n},2026-02-04 10:00:00,Deal Stage,Proposal,Closed Won\n" for n in range(10, 40)),
        "deal_stage_history.csv",
    )
    load(again, "deals.csv", imported_at=moment("10 10:00"))
    assert stored()["D1"].closed_at is None
    load(moves.format("12", "Proposal,Closed Won"), "deal_stage_history.csv")
    load(DEALS, "deals.csv", imported_at=moment("12 10:00"))
    assert stored()["D1"].closed_at == moment("12 10:00")


def ended(*moves):
    """Write a history of stages: opportunity, day of February 2026, new stage."""
    rows = [f"{name},2026-02-{day} 10:00:00,Deal Stage,{stage}" for name, day, stage in moves]
    return "\n".join(["Deal ID,Change Date,Field,New Value", *rows, ""])


def test_what_goes_on_from_end_to_end_closed_at_the_first_of_its_kind(load, stored):
    """Won and then invoiced is won when it was won; lost and won after all, when it was won; opened again, when it ended again."""
    load(
        "Deal ID,Create Date,Deal Stage,Status\nD1,2026-01-05,Invoiced,Won\nD2,2026-01-05,Invoiced,Won\n"
        "D3,2026-01-05,Closed Won,Won\nD4,2026-01-05,Invoiced,Won\nD5,2026-01-05,Proposal,Open\n"
        + "".join(f"L{n},2026-01-05,Closed Lost,Lost\n" for n in range(40)),
        "deals.csv",
    )
    moves = [("D1", "03", "Proposal"), ("D1", "04", "Closed Won"), ("D1", "20", "Invoiced")]
    moves += [
        ("D2", "05", "Closed Lost"),
        ("D2", "10", "Closed Won"),
        ("D2", "21", "Invoiced"),
        ("D3", "06", "Closed Won"),
    ]
    moves += [
        ("D4", "04", "Closed Won"),
        ("D4", "07", "Proposal"),
        ("D4", "12", "Closed Won"),
        ("D4", "22", "Invoiced"),
    ]
    load(ended(*moves, *((f"L{n}", "09", "Closed Lost") for n in range(40))), "deal_stage_history.csv")
    found = stored()
    days = {"D1": "04", "D2": "10", "D3": "06", "D4": "12", "L7": "09"}
    assert {name: found[name].closed_at for name in days} == {
        name: moment(f"{day} 10:00") for name, day in days.items()
    }


def test_an_end_before_the_history_begins_is_of_an_unknown_moment(load, stored):
    """Without a history, one that was won before its first import and is renamed since has no closing date; one that is told since has."""
    deals = "Deal ID,Create Date,Deal Stage,Status\nD1,2026-01-05,{},Won\nD2,2026-01-05,{},{}\n"
    load(deals.format("Closed Won", "Closed Lost", "Lost"), "deals.csv", imported_at=moment("10 10:00"))
    load(deals.format("Invoiced", "Closed Won", "Won"), "deals.csv", imported_at=moment("20 10:00"))
    found = stored()
    assert (found["D1"].closed_at, found["D2"].closed_at) == (None, moment("20 10:00"))


def test_what_was_lost_and_is_won_closed_when_it_was_won(load, stored):
    """The moment at which an opportunity was lost is none of its winning, whoever told it."""
    deals = "Deal ID,Create Date,Deal Stage\nD1,2026-01-05,{}\nD2,2026-01-05,{}\nD3,2026-01-05,Proposal\n"
    load(deals.format("Closed Lost", "Closed Won"), "deals.csv")
    load(ended(("D1", "03", "Closed Lost"), ("D2", "04", "Closed Won")), "deal_stage_history.csv")
    assert stored()["D1"].closed_at == moment("03 10:00")
    load(deals.format("Closed Won", "Closed Won"), "deals.csv", imported_at=moment("20 10:00"))
    found = stored()
    assert (found["D1"].closed_at, found["D2"].closed_at) == (moment("20 10:00"), moment("04 10:00"))
