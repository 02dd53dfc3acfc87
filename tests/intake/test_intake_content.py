"""What the cells of a file decide where its headings leave it open."""

import pytest

from forecast.intake import Mapping
from forecast.records import Lead, Quote


def _rows(headings, rows):
    return "\n".join([headings, *rows]) + "\n"


def _flagged(flags, heading="Converted", more=""):
    return _rows(
        f"Prospect ID,{heading}{more and ',Created Date'}", [f"P{n},{flag}{more}" for n, flag in enumerate(flags)]
    )


def test_a_flag_alone_tells_both_ends(load, stored):
    """Where a flag of winning is all that tells the end, its no is an end and an empty cell is open; a warning says so."""
    report = load(_flagged(["1", "0", "", "0"]), "leads.csv")
    assert [lead.status for lead in stored(Lead).values()] == ["converted", "disqualified", "open", "disqualified"]
    assert any('"0" in "Converted" is read as disqualified' in warning for warning in report.warnings)


@pytest.mark.parametrize(("flags", "second"), [(["yes", "no"], "open"), (["yes", "no", ""], "disqualified")])
def test_a_dated_lead_not_converted_is_open_unless_others_are_empty(load, stored, flags, second):
    """A lead with a moment of creation that is not converted may be so yet, unless empty cells stand for what is open."""
    load(_flagged(flags, more=",2024-01-01"), "leads.csv")
    assert [lead.status for lead in stored(Lead).values()][1] == second


def test_a_flag_beside_moments_of_closing_leaves_losses_to_them(load, stored):
    """Where more have a moment of closing than were won, what is not won and has none is open; where only the won have, lost."""
    rows = ["A,1,2024-02-01", "B,0,2024-03-01", "C,0,"]
    load(_rows("Deal ID,Is Won,Closed Date", rows))
    assert [one.status for one in stored().values()] == ["won", "lost", "open"]
    load(_rows("Deal ID,Is Won,Closed Date", ["D,1,2024-02-01", "E,0,", "F,0,"]))
    assert [one.status for one in stored().values()][3:] == ["won", "lost", "lost"]


def test_a_flag_beside_a_stage_leaves_the_end_to_it(load, stored):
    """An opportunity not won is open where its stage is no end."""
    load("id,Is Won,Stage\nA,true,Closed Won\nB,false,Proposal\nC,false,Closed Lost\n")
    assert [one.status for one in stored().values()] == ["won", "open", "lost"]


def test_what_is_archived_at_no_probability_is_lost(load, stored):
    """As Odoo archives what is lost, in whatever stage and with whatever word for open; what is won stays so."""
    rows = [
        *("A,New,Open,0,False", "B,New,Open,10,True", "C,New,Pending,0,False", "D,New,Pending,30,False"),
        *("E,Won,Open,100,False", "F,New,Won,100,False", "G,Won,Open,,False"),
    ]
    load(_rows("ID,Stage,Status,Probability,Active", rows), kind="opportunity")
    assert [one.status for one in stored().values()] == ["lost", "open", "lost", "open", "open", "won", "open"]


def test_a_flag_that_a_mapping_names_stays_a_flag(load, stored):
    """A mapping that says is_won is taken at its word: no means not won, and no end."""
    load("id,Won?\nA,1\nB,0\n", mapping=Mapping(kind="opportunity", columns={"Won?": "is_won"}))
    assert [one.status for one in stored().values()] == ["won", "open"]


def test_stages_on_the_way_say_that_all_are_open(load, stored):
    """Where no stage of the rows tells an end, they are open and have no close moment."""
    load("Deal ID,Stage,Closed At\nA,Proposal,2024-01-05\nB,Negotiation,\n")
    assert [(one.status, one.closed_at) for one in stored().values()] == [("open", None), ("open", None)]


def test_a_flag_that_is_only_ever_yes_says_that_the_others_are_open(load):
    """Where a flag of winning is filled for the won alone, the rest is open, and the import says how to call it lost."""
    report = load(_rows("Deal ID,Is Won", [f"D{n},{'Yes' if n < 40 else ''}" for n in range(90)]))
    assert (
        "40 rows are won and none is lost: 50 without a status are open; if they are lost, write lost there"
        in report.warnings
    )


@pytest.mark.parametrize(("discounts", "shares"), [(["0", "150.00"], [None, None]), (["0", "15"], [0.0, 0.15])])
def test_a_discount_above_100_percent_is_an_amount(load, stored, discounts, shares):
    """A discount that goes beyond the whole price is money, kept beside the quote and named; one that does not is a share."""
    report = load(
        _rows("Quote Id,Grand Total,Discount", [f"Q{n},1000,{one}" for n, one in enumerate(discounts)]), kind="quote"
    )
    assert [quote.discount_share for quote in stored(Quote).values()] == shares
    assert (report.rejected, "discount" in report.custom_fields) == (0, shares == [None, None])
    assert any("goes up to 150, so it is no share" in warning for warning in report.warnings) == (
        shares == [None, None]
    )


@pytest.mark.parametrize(
    ("discounts", "kept"),
    [
        (["$15.00", "$0"], [15, 0]),
        (["20 EUR", ""], [20, None]),
        (['"¥1,250.00"', "¥90.5"], [1250, 90.5]),
        (['"1,250"', "90.50"], [1250, 90.5]),
        (["-50", "0"], [-50, 0]),
        (["(12.50)", "3"], [-12.5, 3]),
        (["10%", "$5"], ["10%", "$5"]),
        (["8折", "SUMMER"], ["8折", "SUMMER"]),
    ],
)
def test_a_discount_that_is_no_share_refuses_no_row(load, stored, discounts, kept):
    """A discount in money, below zero or in words is kept as it is said, beside the quote."""
    report = load(
        _rows("Quote Id,Grand Total,Discount", [f"Q{n},1000,{one}" for n, one in enumerate(discounts)]), kind="quote"
    )
    assert report.rejected == 0
    assert [(quote.discount_share, quote.custom.get("discount")) for quote in stored(Quote).values()] == [
        (None, one) for one in kept
    ]


@pytest.mark.parametrize("discounts", [["15%", "7.5%"], ["15", "7.5"], ["0.15", "0.075"], ['"15,0"', '"7,5"']])
def test_a_discount_that_is_a_share_is_one_in_every_writing(load, stored, discounts):
    """Percent signs, percentages and shares say the same, with a decimal comma too."""
    load(_rows("Quote Id,Grand Total,Discount", [f"Q{n},1000,{one}" for n, one in enumerate(discounts)]), kind="quote")
    assert [quote.discount_share for quote in stored(Quote).values()] == [0.15, 0.075]


def test_a_column_headed_as_an_id_that_tells_rows_apart_is_the_id(load, stored):
    """Scores can be joined to a file whose id has a name of its own; a column that repeats or names others is no id."""
    rows = _rows("Tender Ref,Contact ID,Group ID,Status", [f"T{n},C{n},{n % 3},won" for n in range(9)])
    report = load(rows)
    assert sorted(stored()) == [f"T{n}" for n in range(9)]
    assert any('"Tender Ref" is taken for the id' in warning for warning in report.warnings)
    assert report.custom_fields == {"group_id": "category"}


def test_what_was_stored_as_a_custom_field_does_not_become_the_id(load, stored):
    """A file read before with ids of its content keeps them: its records are not stored again under another id."""
    rows = _rows("Tender Ref,Status", [f"T{n},won" for n in range(9)])
    load(rows, mapping=Mapping(columns={"Tender Ref": "custom.tender_ref"}))
    before = set(stored())
    load(rows)
    assert set(stored()) == before


def test_ends_of_one_side_only_are_said_with_the_words_that_may_be_the_other(load):
    """Many lost and none won is doubted: the words that are read as open are named."""
    report = load(_rows("Deal ID,Stage", [f"{n},{'Lost' if n < 60 else 'Test passed'}" for n in range(70)]))
    assert any("60 rows are lost and none is won" in text and "Test passed (10)" in text for text in report.warnings)


def test_a_stage_that_hints_at_payment_is_asked_for(load):
    """A stage called Payment Done may mean won, and is not acted upon unasked."""
    report = load(_rows("Deal ID,Stage", [f"{n},{'Lost' if n < 60 else 'Payment Done'}" for n in range(70)]))
    assert [(word.word, word.status) for word in report.uncertain] == [("Payment Done", "won")]


@pytest.mark.parametrize("last", ["\n", ""])
def test_a_file_without_an_end_names_the_columns_that_may_tell(load, last):
    """Where no column tells the end, those with two values are named, the likeliest first, in however many pieces they come."""
    rows = [f"{n},{'MF'[n % 2]},{n % 2},{n}" for n in range(9)]
    report = load(_rows("Lead ID,Gender,Purchased,Age", rows).rstrip() + last, "leads.csv")
    assert any('("Purchased", "Gender"?)' in warning for warning in report.warnings)


def test_the_commonest_reasons_of_rejects_are_in_the_report(load):
    """What refused most rows is said at once, also in a dry run, with an example."""
    report = load("id,amount\nA,12\nB,12k5\nC,13k5\n", dry_run=True)
    assert any('2 rejected: column "amount": "12k5" is not a number' in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("words", "asked"),
    [(("Signed", "Gone", "Talking"), "if one does, set"), (("Signed", "Gone"), 'if one does ("Ending"?), set')],
)
def test_a_file_without_an_end_says_that_new_ones_are_open(load, words, asked):
    """Where no column is known to tell the end, nothing is taken for one in silence; a column of two values is named."""
    report = load(_rows("Deal ID,Amount,Ending", [f"D{n},{n},{words[n % len(words)]}" for n in range(30)]))
    assert any("so new ones are open" in warning and asked in warning for warning in report.warnings)


def test_an_update_of_stored_records_is_not_said_to_leave_them_open(load):
    """A file that only changes what is stored leaves its ends as they are, and nothing is said of them."""
    load("Deal ID,Amount,Status\nA,1,Won\nB,2,Lost\n")
    changed = load("Deal ID,Deal Name,Amount\nA,Oak,3\nB,Elm,4\n", "amounts.csv")
    assert (changed.changed, changed.new) == (2, 0)
    assert not any("how these ended" in warning for warning in changed.warnings)
    grown = load("Deal ID,Deal Name,Amount\nA,Oak,3\nC,Ash,4\n", "more.csv")
    assert any("so new ones are open" in warning for warning in grown.warnings)
