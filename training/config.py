"""The experiment of a model, as written in models/<name>/config.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from forecast.errors import InputError
from forecast.population import Target

Scale = Literal["linear", "log", "log-int"]
Share = Annotated[float, Field(ge=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
T = TypeVar("T")

NO_OTHER_KEYS = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class Range:
    """What a searched parameter may be."""

    low: float
    high: float
    scale: Scale

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must be below high")
        if self.scale != "linear" and self.low <= 0:
            raise ValueError(f"low is {self.low}; on a logarithmic scale it must be above 0")


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class DataRules:
    """How much data is needed, and how it is cut; see the comments in config.toml."""

    closed_min: Count
    closed_warning: Count
    test_share: Annotated[float, Field(gt=0, lt=1)]
    folds: Annotated[int, Field(ge=2, le=10)]
    gap_days: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class SearchRules:
    """The budget and the space of the search."""

    trials: Count
    timeout_seconds: AboveZero
    rounds_max: Count
    rows_max: Count
    space: Mapping[str, Range]


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class GateRules:
    """Bounds that a version must keep to be served."""

    confidence: Share
    calibration_error_max: Share
    segment_error_max: Share
    slope_min: AboveZero
    slope_max: AboveZero
    auc_max: Share


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class Experiment:
    """The whole of config.toml; `text` is the file itself."""

    name: str
    population: str
    target: Target = "won"
    horizon_days: AboveZero | None = None
    curve_days: AboveZero = 365.0
    seed: int
    ages_days: Annotated[tuple[float, ...], Field(min_length=1)]
    rates: tuple[str, ...]
    vouched: tuple[str, ...]
    data: DataRules
    search: SearchRules
    gates: GateRules
    monotone: Mapping[str, Literal[-1, 1]] = field(default_factory=lambda: MappingProxyType({}))
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if any(later <= earlier for earlier, later in pairwise(self.ages_days)):
            raise ValueError(f"ages_days is {list(self.ages_days)}; the ages must ascend")


def read_config(models: Path, name: str, kind: type[T]) -> T:
    """Read `models/<name>/config.toml` as a dataclass of pydantic's that keeps the file's `text`.

    Raises:
        InputError: there is none, or it is not as it must be.
    """
    path = models / name / "config.toml"
    if not path.exists():
        known = ", ".join(sorted(folder.parent.name for folder in models.glob("*/config.toml"))) or "none"
        raise InputError(
            f'there is no model "{name}" in {models}; there are: {known}; start in the folder that holds models/, '
            "or name it with --models"
        )
    return parse_config(path.read_text(encoding="utf-8"), kind, source=str(path))


def parse_config(text: str, kind: type[T], *, source: str = "config.toml") -> T:
    """Read the text of a config.toml; `source` names it where it is refused.

    Raises:
        InputError: it is not TOML, a key is missing or unknown, or a value is not what it may be.
    """
    try:
        return TypeAdapter(kind).validate_python({**tomllib.loads(text), "text": text})
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not TOML: {error}") from error
    except ValidationError as error:
        found = "; ".join(_sentence(detail) for detail in error.errors())
        raise InputError(f"{source}: {found}; compare it with the one that came with forecast") from error


def _sentence(error: ErrorDetails) -> str:
    place, kind, said = ".".join(str(part) for part in error["loc"]), error["type"], error["msg"]
    if kind == "value_error":
        return f"{place}: {said.removeprefix('Value error, ')}".removeprefix(": ")
    if kind == "missing":
        table, _, key = place.rpartition(".")
        return f"{place} is missing: add {key}" + (f" under [{table}]" if table else "")
    if kind == "unexpected_keyword_argument":
        return f"{place} is unknown"
    return f"{place} is {error['input']!r}: {said[0].lower()}{said[1:]}"


def read_experiment(models: Path, name: str) -> Experiment:
    """Read the experiment of a model of win probability or lead conversion.

    Raises:
        InputError: there is none, or it is not as it must be.
    """
    return read_config(models, name, Experiment)
