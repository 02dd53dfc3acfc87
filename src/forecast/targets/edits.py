"""Decisions by hand as people write them."""

from datetime import date

from forecast.errors import InputError
from forecast.revenue.cells import COMPANY, PERSON, TEAM
from forecast.targets.proposal import Edit, Sellers

_EXAMPLE = "write T1=2000000, U07@2027-03-01=50000, or company@2027-03-01=400000"


def read_edit(text: str, sellers: Sellers) -> Edit:
    """Read a decision such as `T1=2000000`: a unit, from which day where not for the whole year, and an amount.

    Raises:
        InputError: it is not so written, or names no person or team among the sellers.
    """
    left, _, amount = text.rpartition("=")
    unit_id, _, day = left.partition("@")
    try:
        return Edit(
            level=_level(unit_id, sellers),
            unit_id="" if unit_id == COMPANY else unit_id,
            starts_on=date.fromisoformat(day) if day else None,
            amount=float(amount.replace(",", "").replace("_", "")),
        )
    except ValueError as error:
        raise InputError(f'"{text}" is no decision; {_EXAMPLE}') from error


def _level(unit_id: str, sellers: Sellers) -> str:
    for level, column in ((TEAM, "team_id"), (PERSON, "owner_id")):
        if unit_id in sellers.people[column]:
            return level
    if unit_id == COMPANY:
        return COMPANY
    known = ", ".join([*sellers.people["team_id"].unique().sort(), *sellers.people["owner_id"]])
    raise InputError(f'"{unit_id}" is no team or person that sells; there are: {known}; {_EXAMPLE}')
