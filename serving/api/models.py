"""GET /v1/models: which versions serve."""

from fastapi import APIRouter

from serving.deps import DeskDep
from serving.live import Live
from serving.schemas import LiveModel, ModelsAnswer

router = APIRouter()


@router.get("/v1/models", summary="List the versions that serve")
def list_models(desk: DeskDep) -> ModelsAnswer:
    """List live versions with how well they did on rows they had not seen, and the gates they passed."""
    return ModelsAnswer(models=[_answer(live) for live in desk.live.list()])


def _answer(live: Live) -> LiveModel:
    return LiveModel(
        name=live.version.name,
        version=live.version.version,
        basis=live.version.basis,
        since=live.since,
        why=live.why,
        metrics=live.version.bundle.get("metrics", {}),
        gates=live.version.bundle.get("gates", []),
    )
