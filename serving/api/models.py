"""GET /v1/models: which versions serve."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from forecast.wording import Language, say_training
from serving.deps import DeskDep, LanguageDep
from serving.live import Live
from serving.schemas import LiveModel, ModelsAnswer

router = APIRouter()


@router.get("/v1/models", summary="List the versions that serve")
def list_models(desk: DeskDep, language: LanguageDep) -> ModelsAnswer:
    """List live versions with how well they did on rows they had not seen, and the gates they passed."""
    return ModelsAnswer(models=[_answer(live, language) for live in desk.live.list()])


def _answer(live: Live, language: Language) -> LiveModel:
    return LiveModel(
        name=live.version.name,
        version=live.version.version,
        basis=live.version.basis,
        since=live.since,
        why=say_training(live.why, language),
        metrics=live.version.bundle.get("metrics", {}),
        gates=[_said(gate, language) for gate in live.version.bundle.get("gates", [])],
    )


def _said(gate: Mapping[str, Any], language: Language) -> dict[str, Any]:
    return {**gate, **{name: say_training(gate[name], language) for name in ("name", "sentence")}}
