"""The experiment of the revenue forecast, as written in models/revenue_forecast/config.toml."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from training.config import NO_OTHER_KEYS, Count, Share, read_config


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class RevenueData:
    """How many trials are made, and are needed; see the comments in config.toml."""

    origins: Count
    origins_min: Count


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class RevenueGates:
    """Bounds that a version must keep to be served."""

    judged_months: Count
    confidence: Share
    coverage_min: Share
    coverage_max: Share


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class RevenueExperiment:
    """The whole of config.toml; `text` is the file itself."""

    name: str
    population: str
    seed: int
    horizon_months: Annotated[int, Field(ge=1, le=36)]
    data: RevenueData
    gates: RevenueGates
    text: str = field(repr=False)


def read_revenue_experiment(models: Path, name: str) -> RevenueExperiment:
    """Read `models/<name>/config.toml`.

    Raises:
        InputError: there is none, or it is not as it must be.
    """
    return read_config(models, name, RevenueExperiment)
