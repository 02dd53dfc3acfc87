"""POST /v1/merges and DELETE /v1/merges/{id}: merge records, list merges, undo one."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from forecast.merging import list_merges, merge_records, undo_merge
from forecast.records import Merge
from serving.deps import DeskDep, SessionDep, require_key
from serving.schemas import ITEMS_MAX, Posted, Schema

router = APIRouter()

KeyName = Annotated[str, Depends(require_key)]


class MergeIn(Posted):
    """Which records are one: `other_ids` are merged into `keep_id`."""

    kind: Literal["account", "lead"]
    keep_id: Annotated[str, Field(min_length=1, examples=["A00012"])]
    other_ids: Annotated[list[str], Field(min_length=1, max_length=ITEMS_MAX, examples=[["A00345"]])]
    fill: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="Fields whose blanks in the kept record are filled from the others; `all` names every one.",
        ),
    ]


class MergeOut(Schema):
    """A merge in force: how many references were repointed by `<kind>.<column>`, and which blanks were filled with what."""

    id: int
    kind: str
    kept_id: str
    merged_id: str
    merged_at: datetime
    merged_by: str
    moved: dict[str, int]
    filled: dict[str, str]


class MergesAnswer(Schema):
    """One merge for each record that was merged."""

    merges: list[MergeOut]


class UndoneOut(Schema):
    """What undoing put back; `left` says of each thing that was changed since, and stays."""

    id: int
    restored: int
    left: list[str]


@router.post("/v1/merges", status_code=HTTPStatus.CREATED, summary="Merge records")
def create_merges(posted: MergeIn, session: SessionDep, desk: DeskDep, key: KeyName) -> MergesAnswer:
    """Let what points at the other records point at the kept one; the others are deleted, and can be restored by undoing."""
    done = merge_records(
        session,
        posted.kind,
        keep_id=posted.keep_id,
        other_ids=posted.other_ids,
        fill=posted.fill,
        by=key,
        at=desk.clock(),
    )
    return MergesAnswer(merges=[_out(merge) for merge in done])


@router.get("/v1/merges", summary="List merges that can be undone")
def read_merges(session: SessionDep) -> MergesAnswer:
    """List the merges in force, newest first."""
    return MergesAnswer(merges=[_out(merge) for merge in list_merges(session)])


@router.delete("/v1/merges/{merge_id}", summary="Undo a merge")
def delete_merge(
    merge_id: Annotated[int, Path(description="Number of the merge.", examples=[1])],
    session: SessionDep,
    desk: DeskDep,
    key: KeyName,
) -> UndoneOut:
    """Put back what the merge changed, as far as nobody changed it since."""
    undone = undo_merge(session, merge_id, by=key, at=desk.clock())
    return UndoneOut(id=merge_id, restored=undone.restored, left=list(undone.left))


def _out(merge: Merge) -> MergeOut:
    return MergeOut(
        id=merge.id,
        kind=merge.kind,
        kept_id=merge.kept_id,
        merged_id=merge.merged_id,
        merged_at=merge.merged_at,
        merged_by=merge.merged_by,
        moved={name: len(ids) for name, ids in merge.details["moved"].items() if ids},
        filled=merge.details["filled"],
    )
