"""Pipelines as TOML that people read and edit."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from forecast.errors import FileError
from forecast.process.definition import PipelineDefinition, make_pipeline


def read_pipeline_file(path: Path, custom_fields: Sequence[str]) -> PipelineDefinition:
    """Read a pipeline from a TOML file.

    Raises:
        FileError: the file can't be read or is no TOML.
        InputError: it is no pipeline.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror}; name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is no TOML: {error}; compare it with `forecast pipelines show --toml`") from error
    return make_pipeline(values, custom_fields)


def pipeline_toml(pipeline: PipelineDefinition) -> str:
    """Write a pipeline as TOML."""
    head = _lines({"id": pipeline.id, "name": pipeline.name})
    stages = (f"\n[[stages]]\n{_lines(asdict(stage))}" for stage in pipeline.stages)
    return head + "".join(stages)


def _lines(values: Mapping[str, object]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items() if value not in (None, ()))


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
