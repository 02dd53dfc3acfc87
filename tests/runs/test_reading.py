"""What is read for a question, against all that is stored."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from forecasts import opportunity, store
from polars.testing import assert_frame_equal
from worlds import START, STEP, make_world, write_world

from forecast.revenue_records import read_deal_records, read_sales_records
from forecast.runs.changes import Scope, compare
from forecast.runs.deals import read_deals
from forecast.runs.moments import COMPARED
from forecast.store import unit_of_work

ZONE = "Asia/Shanghai"
BEFORE, AFTER = START + 30 * STEP, START + 60 * STEP


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("first", [date(2024, 3, 5), date(2024, 3, 20)])
def test_what_changed_is_the_same_from_what_is_read_for_it(engine, seed, first):
    """Fields that nobody asks for, and changes of what had closed long before, add nothing to any bar."""
    with unit_of_work(engine) as session:
        write_world(session, make_world(seed, size=60))
    scope = Scope(level="company", unit_id="", starts_on=first, ends_on=date(2024, 4, 30))
    since = min(BEFORE, datetime.combine(first, time.min, ZoneInfo(ZONE)))
    with unit_of_work(engine) as session:
        whole, read = (
            [read_deals(session, records, moment) for moment in (BEFORE, AFTER)]
            for records in (
                read_deal_records(session, timezone=ZONE),
                read_deal_records(session, timezone=ZONE, fields=COMPARED, since=since),
            )
        )
    expected, found = compare(*whole, scope), compare(*read, scope)
    assert expected.records.height > 2
    assert (found.before, found.after, found.bars, found.remarks) == (
        expected.before,
        expected.after,
        expected.bars,
        expected.remarks,
    )
    assert_frame_equal(found.records, expected.records)


def test_a_deal_that_ends_in_the_future_hides_no_close_date_of_others(engine):
    """Close dates that stand now are known now, whatever day other deals name as their end."""
    now, due = datetime.now(UTC), date(2026, 10, 1)
    late = opportunity("late", status="won", closed_at=now + timedelta(days=90))
    store(engine, opportunity("a", status="open", expected_close_on=due), late)
    with unit_of_work(engine) as session:
        for records in (read_deal_records(session, timezone=ZONE), read_sales_records(session, timezone=ZONE)):
            found = read_deals(session, records, now + timedelta(seconds=1))
            assert found.filter(opportunity_id="a")["expected_close_on"].to_list() == [due]
