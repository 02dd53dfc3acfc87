"""A pipeline as people define it: ordered stages with what each asks for."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from forecast.errors import InputError
from forecast.records import Opportunity

DEFAULT_PIPELINE = "default"

StageKind = Literal["open", "won", "lost"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Days = Annotated[float, Field(gt=0, le=10_000)]
WholeDays = Annotated[int, Field(gt=0, le=10_000)]

_NO_OTHER_KEYS = ConfigDict(extra="forbid")
_NOT_REQUIRED = frozenset(
    {"id", "source_system", "external_id", "custom", "pipeline_id", "stage", "status", "version", "import_digest"}
)


@checked_dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class StageDefinition:
    """A stage of a pipeline.

    Attributes:
        name: what an opportunity's `stage` holds.
        kind: open, won or lost.
        usual_days: how long a deal usually stays.
        quiet_days_max: how many days without a change or an activity are too many.
        required_fields: fields of an opportunity, `custom.<name>` for custom ones, to be filled in this stage and after it.
        playbook_en: what to do in this stage, in English.
        playbook_zh: likewise, in Chinese.
    """

    name: Name
    kind: StageKind
    usual_days: Days | None = None
    quiet_days_max: WholeDays | None = None
    required_fields: tuple[Name, ...] = ()
    playbook_en: str | None = None
    playbook_zh: str | None = None


@checked_dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class PipelineDefinition:
    """An ordered set of stages that opportunities move through."""

    id: Name
    name: str | None = None
    stages: tuple[StageDefinition, ...]

    @property
    def digest(self) -> str:
        """Tell this definition from any other."""
        return sha256(_ADAPTER.dump_json(self)).hexdigest()[:16]

    def required_by(self, stage: str) -> tuple[str, ...]:
        """List the fields that must be filled in an open stage, of those before it too; none for other stages."""
        names = [one.name for one in self.stages if one.kind == "open"]
        if stage not in names:
            return ()
        passed = names[: names.index(stage) + 1]
        return tuple(dict.fromkeys(f for one in self.stages if one.name in passed for f in one.required_fields))


_ADAPTER = TypeAdapter(PipelineDefinition)


def make_pipeline(values: Mapping[str, object], custom_fields: Sequence[str]) -> PipelineDefinition:
    """Check what somebody wrote, and make a pipeline of it.

    Args:
        values: keys of PipelineDefinition.
        custom_fields: those declared for opportunities.

    Raises:
        InputError: a key is unknown or missing, a value out of range, a stage named twice, a field unknown, or no stage is
            open, won or lost.
    """
    try:
        pipeline = _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"pipeline: {place}: {first['msg'].lower()}, found {first['input']!r}; "
            "compare it with `forecast pipelines show --toml`"
        ) from error
    _check_stages(pipeline)
    _check_fields(pipeline, custom_fields)
    return pipeline


def _check_stages(pipeline: PipelineDefinition) -> None:
    names = [stage.name for stage in pipeline.stages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"pipeline {pipeline.id}: stage {', '.join(twice)} comes twice; name each stage once")
    missing = [kind for kind in ("open", "won", "lost") if kind not in {stage.kind for stage in pipeline.stages}]
    if missing:
        raise InputError(f"pipeline {pipeline.id} has no stage of kind {', '.join(missing)}; add one of each kind")


def _check_fields(pipeline: PipelineDefinition, custom_fields: Sequence[str]) -> None:
    known = requirable_fields(custom_fields)
    for stage in pipeline.stages:
        for name in stage.required_fields:
            if name not in known:
                raise InputError(
                    f'pipeline {pipeline.id}, stage {stage.name}: opportunities have no field "{name}" to require; '
                    f"name fields of: {', '.join(known)}"
                )


def requirable_fields(custom_fields: Sequence[str]) -> tuple[str, ...]:
    """List the fields of opportunities that a stage may require."""
    columns = Opportunity.__table__.columns
    known = [column.name for column in columns if column.info["time"] != "outcome" and column.name not in _NOT_REQUIRED]
    return (*known, *(f"custom.{name}" for name in custom_fields))


@cache
def default_pipeline() -> PipelineDefinition:
    """Give the pipeline of a company that has not set its own."""
    text = files(__package__).joinpath("default.toml").read_text(encoding="utf-8")
    return make_pipeline(tomllib.loads(text), ())


@dataclass(frozen=True, kw_only=True)
class StageUse:
    """How many opportunities are at a stage, in all and of those the open ones."""

    pipeline_id: str
    stage: str
    count: int
    open_count: int
