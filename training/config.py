"""The experiment of a model, as written in models/<name>/config.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from forecast.errors import InputError

Scale = Literal["linear", "log", "log-int"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """What a searched parameter may be."""

    low: float
    high: float
    scale: Scale


@dataclass(frozen=True, kw_only=True)
class DataRules:
    """How much data is needed, and how it is cut; see the comments in config.toml."""

    closed_min: int
    closed_warning: int
    test_share: float
    folds: int
    gap_days: float


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """The budget and the space of the search."""

    trials: int
    timeout_seconds: float
    rounds_max: int
    space: Mapping[str, Range]


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """Bounds that a version must keep to be served."""

    confidence: float
    calibration_error_max: float
    slope_min: float
    slope_max: float
    auc_max: float


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The whole of config.toml; `text` is the file itself."""

    name: str
    population: str
    seed: int
    ages_days: tuple[float, ...]
    rates: tuple[str, ...]
    vouched: tuple[str, ...]
    data: DataRules
    search: SearchRules
    gates: GateRules
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a config.toml.

        Raises:
            InputError: it is not TOML, or a key is missing or unknown.
        """
        try:
            values = tomllib.loads(text)
            return cls(**_sections(values), text=text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"config.toml is not TOML: {error}") from error
        except (TypeError, KeyError) as error:
            raise InputError(f"config.toml: {error}; compare it with models/win_probability/config.toml") from error


def _sections(values: dict[str, Any]) -> dict[str, Any]:
    search = dict(values["search"])
    space = {name: Range(**bounds) for name, bounds in search.pop("space").items()}
    return {
        **values,
        "ages_days": tuple(values["ages_days"]),
        "rates": tuple(values["rates"]),
        "vouched": tuple(values["vouched"]),
        "data": DataRules(**values["data"]),
        "search": SearchRules(**search, space=space),
        "gates": GateRules(**values["gates"]),
    }


def read_experiment(models: Path, name: str) -> Experiment:
    """Read `models/<name>/config.toml`.

    Raises:
        InputError: there is none, or it can't be read.
    """
    path = models / name / "config.toml"
    if not path.exists():
        known = ", ".join(sorted(folder.parent.name for folder in models.glob("*/config.toml"))) or "none"
        raise InputError(f'there is no model "{name}" in {models}; there are: {known}')
    return Experiment.parse(path.read_text(encoding="utf-8"))
