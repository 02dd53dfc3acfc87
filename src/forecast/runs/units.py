"""Find the unit that somebody means."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import InputError, NotFoundError
from forecast.records import Opportunity, Order, Person, Team
from forecast.revenue.cells import COMPANY, NO_UNIT, PERSON, TEAM


def find_unit(session: Session, text: str | None) -> tuple[str, str]:
    """Give the level and id of the company, or of a team or person by its id or, where only one has it, its name.

    Raises:
        NotFoundError: there is none.
        InputError: several have the name.
    """
    if text is None or text.strip().lower() in {"", COMPANY}:
        return COMPANY, ""
    for level in (TEAM, PERSON):
        if text == NO_UNIT[level]:
            return level, text
    found = [(level, unit_id, name) for level, table in _TABLES for unit_id, name in _matches(session, table, text)]
    exact = [(level, unit_id) for level, unit_id, _ in found if unit_id == text] or [
        (level, unit_id) for level, unit_id, _ in found
    ]
    exact = exact or _referred(session, text)
    if not exact:
        raise NotFoundError(
            f'there is no team or person "{text}"; give an id or a name as `forecast targets` shows them'
        )
    if len(exact) > 1:
        raise InputError(f'"{text}" is {", ".join(" ".join(one) for one in exact)}; give the id of the one you mean')
    return exact[0]


_TABLES: tuple[tuple[str, type[Team] | type[Person]], ...] = ((TEAM, Team), (PERSON, Person))


def _matches(session: Session, table: type[Team] | type[Person], text: str) -> list[tuple[str, str | None]]:
    same_name = sa.func.lower(table.name) == text.strip().lower()
    statement = sa.select(table.id, table.name).where(sa.or_(table.id == text, same_name)).order_by(table.id)
    return [(unit_id, name) for unit_id, name in session.execute(statement)]


def _referred(session: Session, text: str) -> list[tuple[str, str]]:
    """Find units that are no records, but that persons, opportunities or orders refer to."""
    named = {
        TEAM: (Person.team_id, Opportunity.team_id, Order.team_id),
        PERSON: (Opportunity.owner_id, Order.owner_id),
    }
    return [
        (level, text)
        for level, columns in named.items()
        if any(session.scalar(sa.select(sa.literal(1)).where(column == text).limit(1)) for column in columns)
    ]
