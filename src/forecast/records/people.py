"""Who sells: teams and persons."""

from sqlalchemy import Boolean, Text
from sqlalchemy.orm import Mapped

from forecast.records.record import Record, fixed, tracked


class Team(Record):
    """A sales team; teams nest."""

    __tablename__ = "team"

    name: Mapped[str | None] = tracked(Text)
    parent_id: Mapped[str | None] = tracked(Text)
    region: Mapped[str | None] = tracked(Text)


class Person(Record):
    """Somebody who owns records."""

    __tablename__ = "person"

    name: Mapped[str | None] = fixed(Text)
    email: Mapped[str | None] = tracked(Text)
    team_id: Mapped[str | None] = tracked(Text)
    manager_id: Mapped[str | None] = tracked(Text)
    title: Mapped[str | None] = tracked(Text)
    active: Mapped[bool | None] = tracked(Boolean)
