"""GET /v1/duplicates: records that are probably the same."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from forecast.duplicates import find_duplicates, say_evidence
from serving.deps import LanguageDep, SessionDep
from serving.schemas import Schema, Share

router = APIRouter()


class Evidence(Schema):
    """What a comparison of one field found: same, close (one letter differs), similar or differs."""

    field: str
    result: Literal["same", "close", "similar", "differs"]
    sentence: str


class DuplicatePair(Schema):
    """Two records that are probably the same; `id` is the one to keep."""

    group_id: Annotated[str, Field(description="Connected records are a group, named by the one of them to keep.")]
    id: str
    other_id: str
    name: str | None
    other_name: str | None
    confidence: Share
    evidence: Annotated[list[Evidence], Field(description="The weightiest first.")]


class DuplicatesAnswer(Schema):
    """The surest groups first; `total` pairs were found in all."""

    pairs: list[DuplicatePair]
    total: int


@router.get("/v1/duplicates/{kind}", summary="Propose records to merge")
def list_duplicates(
    kind: Annotated[Literal["account", "lead"], Path(description="What is looked through.")],
    *,
    session: SessionDep,
    language: LanguageDep,
    confidence_min: Annotated[float, Query(description="Leave out pairs of less confidence.", ge=0, le=1)] = 0.5,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=1000)] = 100,
) -> DuplicatesAnswer:
    """Compare all records of the kind, and propose pairs with a confidence and its reasons; nothing is merged.

    All records are read, which takes a while where there are many.
    """
    found = find_duplicates(session, kind, confidence_min=confidence_min)
    pairs = [
        DuplicatePair(**row | {"evidence": [_evidence(one, language) for one in row["evidence"]]})
        for row in found.head(limit).iter_rows(named=True)
    ]
    return DuplicatesAnswer(pairs=pairs, total=found.height)


def _evidence(evidence: str, language: LanguageDep) -> Evidence:
    field, _, result = evidence.partition(":")
    return Evidence.model_validate({"field": field, "result": result, "sentence": say_evidence(evidence, language)})
