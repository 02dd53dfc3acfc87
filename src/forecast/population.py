"""Of which records a model speaks, and what it asks of them."""

import tomllib
from dataclasses import dataclass
from typing import Literal, get_args

from forecast.errors import InputError

Kind = Literal["opportunity", "lead"]
Target = Literal["won", "converted"]


@dataclass(frozen=True, kw_only=True)
class Population:
    """The records that are scored, and the outcome that is asked for.

    Attributes:
        kind: of record.
        target: of a lead: `converted` into an opportunity, or its opportunity `won`; an opportunity can only be won.
        horizon_days: how long after a lead's creation the target counts; a lead that has not reached it by then is lost.
            None waits for ever.
    """

    kind: Kind = "opportunity"
    target: Target = "won"
    horizon_days: float | None = None

    @property
    def policy(self) -> str:
        """The pipeline whose grade policy is in force where a record names none of its own."""
        return "lead" if self.kind == "lead" else "default"


OPPORTUNITIES = Population()


def population_of(config: str) -> Population:
    """Read `population`, `target` and `horizon_days` from the text of a config.toml; without them, opportunities.

    Raises:
        InputError: one of them is not what it may be.
    """
    values = tomllib.loads(config)
    kind, target = values.get("population", "opportunity"), values.get("target", "won")
    if kind not in get_args(Kind) or target not in get_args(Target):
        raise InputError(
            f'config.toml: population is "{kind}" and target "{target}"; '
            'write population = "opportunity" or "lead", and target = "won" or "converted"'
        )
    return Population(kind=kind, target=target, horizon_days=values.get("horizon_days"))
