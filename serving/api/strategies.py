"""GET and PUT /v1/strategies: how accounts of each tier and potential are followed up."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from forecast.accounts.tiers import Potential, Tier
from forecast.errors import InputError
from forecast.policies import Strategy, decide_strategy, read_strategies
from serving.deps import SessionDep, require_key
from serving.schemas import Posted, Schema

router = APIRouter()
Text = Annotated[str | None, Field(max_length=2000, description="Left out: as it is. Empty: the product's own text.")]


class StrategyTexts(Posted):
    """A follow-up in English and Chinese."""

    text_en: Text = None
    text_zh: Text = None


class StrategyOut(Schema):
    """The follow-up in force; `version` grows with every decision and is missing where nobody decided."""

    tier: Tier
    potential: Potential
    text_en: str
    text_zh: str
    version: int | None
    decided_at: datetime | None
    decided_by: str | None


class StrategiesAnswer(Schema):
    """The follow-up of every tier and potential."""

    strategies: list[StrategyOut]


@router.get("/v1/strategies", summary="List how accounts are followed up")
def list_strategies(session: SessionDep) -> StrategiesAnswer:
    """List the follow-up of every tier and potential, as decided or as it comes with the product."""
    return StrategiesAnswer(strategies=[_out(found) for found in read_strategies(session).values()])


@router.put("/v1/strategies/{tier}/{potential}", summary="Decide how accounts of a tier and potential are followed up")
def put_strategy(
    tier: Annotated[Tier, Path(description="Tier of the accounts.", examples=["A"])],
    potential: Annotated[Potential, Path(description="Potential of the accounts.", examples=["dormant"])],
    texts: StrategyTexts,
    session: SessionDep,
    caller: Annotated[str, Depends(require_key)],
) -> StrategyOut:
    """Put a follow-up in force at once; earlier ones are kept, with who decided them.

    Raises:
        InputError: neither text is given.
    """
    if texts == StrategyTexts():
        raise InputError("neither text_en nor text_zh is given; give one or both")
    return _out(decide_strategy(session, tier, potential, decided_by=caller, **texts.model_dump()))


def _out(found: Strategy) -> StrategyOut:
    return StrategyOut(**{name: getattr(found, name) for name in StrategyOut.model_fields})
