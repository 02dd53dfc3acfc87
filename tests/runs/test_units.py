import pytest
from forecasts import opportunity, store

from forecast.errors import InputError, NotFoundError
from forecast.records import Order, Person, Team
from forecast.runs.units import find_unit
from forecast.store import unit_of_work


@pytest.fixture
def units(engine):
    """Open a database with teams and persons, two of whom share a name."""
    store(
        engine,
        Team(id="T1", external_id="T1", name="East"),
        Person(id="U1", external_id="U1", name="Wang", team_id="T9"),
        opportunity("a", owner_id="U8", team_id="T8"),
        Order(id="R1", external_id="R1", owner_id="U7", team_id="T7"),
        Person(id="U2", external_id="U2", name="Li"),
        Person(id="U3", external_id="U3", name="Li"),
        Person(id="East", external_id="East", name="Odd"),
    )
    return engine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ("company", "")),
        ("Company", ("company", "")),
        ("T1", ("team", "T1")),
        ("wang", ("person", "U1")),
        ("U3", ("person", "U3")),
        ("T9", ("team", "T9")),
        ("T8", ("team", "T8")),
        ("T7", ("team", "T7")),
        ("U8", ("person", "U8")),
        ("U7", ("person", "U7")),
        ("no team", ("team", "no team")),
        ("East", ("person", "East")),
    ],
)
def test_a_unit_is_found_by_id_or_name(units, text, expected):
    """Nothing is the company; an id goes before a name, which may be in any case, and need not be a record's."""
    with unit_of_work(units) as session:
        assert find_unit(session, text) == expected


def test_a_unit_that_is_not_one_is_refused(units):
    """An unknown unit and a name that two persons have are errors that say what to give."""
    with unit_of_work(units) as session:
        with pytest.raises(NotFoundError, match='"U9"'):
            find_unit(session, "U9")
        with pytest.raises(InputError, match="person U2, person U3"):
            find_unit(session, "Li")
