"""GET /v1/records/{kind}/export: all records of a kind as a file."""

import pathlib
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from forecast.export import CHANGE, csv_blocks, write_parquet
from forecast.records import RECORD_KINDS
from forecast.store import unit_of_work
from serving.deps import DeskDep, SessionDep
from serving.records.requests import known_kind

router = APIRouter()

_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"text/csv": {"schema": {"type": "string"}}, "application/vnd.apache.parquet": {}},
    }
}


def exported_kind(
    kind: Annotated[
        str,
        Path(
            description="Kind of record, or `change` for the history of fields.",
            examples=["opportunity"],
            json_schema_extra={"enum": [*RECORD_KINDS, CHANGE]},
        ),
    ],
) -> str:
    """Give the kind in the address.

    Raises:
        NotFoundError: there is no such kind.
    """
    return kind if kind == CHANGE else known_kind(kind)


@router.get("/v1/records/{kind}/export", summary="Export all records of a kind", responses=_FILES)
def export_records(
    kind: Annotated[str, Depends(exported_kind)],
    session: SessionDep,
    desk: DeskDep,
    tasks: BackgroundTasks,
    *,
    format: Literal["csv", "parquet"] = "csv",  # noqa: A002  # what callers know it as
    include_deleted: Annotated[bool, Query(description="Deleted records too, with the column `deleted_at`.")] = False,
) -> Response:
    """Write all records of a kind, by id, as CSV (streamed) or Parquet.

    In CSV, text that a spreadsheet would run as a formula has an apostrophe in front, which `forecast import` takes off.
    """
    if format == "csv":
        blocks = _csv(desk.engine, kind, include_deleted=include_deleted)
        return StreamingResponse(blocks, media_type="text/csv; charset=utf-8", headers=_named(f"{kind}.csv"))
    folder = TemporaryDirectory(prefix="forecast-export-")
    tasks.add_task(folder.cleanup)
    path = pathlib.Path(folder.name) / f"{kind}.parquet"
    write_parquet(session, kind, path, include_deleted=include_deleted)
    return FileResponse(path, media_type="application/vnd.apache.parquet", headers=_named(path.name))


def _csv(engine: sa.Engine, kind: str, *, include_deleted: bool) -> Iterator[bytes]:
    """Stream in a transaction of its own: the request's ends before the answer begins."""
    with unit_of_work(engine) as session:
        yield from csv_blocks(session, kind, include_deleted=include_deleted)


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
