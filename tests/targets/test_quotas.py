from datetime import date

import pytest
from forecasts import store

from forecast.records import Person, Quota, Team
from forecast.store import unit_of_work
from forecast.targets.quotas import read_targets

STARTS = (date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 3))


@pytest.fixture
def targets_of(engine):
    """Store quotas with the days they begin, and read those of a time by id."""

    def read(first, last, **more):
        store(
            engine,
            Team(id="T1", external_id="T1", name="East"),
            Person(id="U1", external_id="U1", name="Ada", team_id="T1"),
            *(
                Quota(id=f"Q{number}", external_id=f"Q{number}", person_id="U1", starts_on=day, amount=1)
                for number, day in enumerate(STARTS)
            ),
            Quota(id="T", external_id="T", team_id="T1", starts_on=date(2026, 2, 1), amount=1, **more),
        )
        with unit_of_work(engine) as session:
            return {target.quota_id: target for target in read_targets(session, first, last)}

    return read


def test_a_quota_without_a_last_day_lasts_until_the_next(targets_of):
    """The next of the same unit ends it, and the last of them lasts as long as the one before; another unit's does not count."""
    found = targets_of(date(2026, 1, 1), date(2026, 12, 31))
    ends = {name: target.ends_on for name, target in found.items()}
    assert ends == {"Q0": date(2026, 3, 31), "Q1": date(2026, 7, 2), "Q2": date(2026, 10, 3), "T": None}
    assert [found[name].is_end_assumed for name in ("Q0", "T")] == [True, False]


def test_the_last_quarter_without_a_last_day_is_a_quarter(engine):
    """The first quarter after the fourth ends on the last of March, though it has two days less."""
    days = (date(2025, 10, 1), date(2026, 1, 1))
    store(engine, *(Quota(id=f"Q{day:%m}", external_id=f"Q{day:%m}", starts_on=day, amount=1) for day in days))
    with unit_of_work(engine) as session:
        found = {target.quota_id: target.ends_on for target in read_targets(session, days[0], date(2026, 12, 31))}
    assert found == {"Q10": date(2025, 12, 31), "Q01": date(2026, 3, 31)}


def test_a_quota_is_of_the_time_that_it_lasts(targets_of):
    """What ended when the next began is none of the next one's; a last day that is told is kept."""
    found = targets_of(date(2026, 4, 1), date(2026, 6, 30), ends_on=date(2026, 4, 1))
    assert set(found) == {"Q1", "T"}
    assert found["T"].ends_on == date(2026, 4, 1)
    assert not found["T"].is_end_assumed
