"""The experiment of customer tiers, as written in models/customer_tier/config.toml."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from forecast.accounts.tiers import TierPolicy
from training.config import NO_OTHER_KEYS, Count, Share, read_config
from training.value_fit import ValueRecipe

Inside = Annotated[float, Field(gt=0, lt=1)]
Days = Annotated[int, Field(ge=7, le=3650)]


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class TierData:
    """How much data is needed, and how it is cut; see the comments in config.toml."""

    customers_min: Count
    buyers_min: Count
    held_out: Inside


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class TierFit:
    """How the model is fitted."""

    cuts: Annotated[tuple[Inside, ...], Field(min_length=1)]
    penalties: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    tree_share: Share
    plain_shares: Annotated[tuple[Share, ...], Field(min_length=1)]
    ensembles: Count
    rounds: Count
    leaves: Annotated[int, Field(ge=2)]
    learning_rate: Inside


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class TierGates:
    """Bounds that a version must keep to be served."""

    confidence: Share
    total_error_max: Annotated[float, Field(gt=0)]
    auc_max: Share


@dataclass(frozen=True, kw_only=True, config=NO_OTHER_KEYS)
class TierExperiment:
    """The whole of config.toml; `text` is the file itself."""

    name: str
    population: str
    seed: int
    horizon_days: Days
    data: TierData
    fit: TierFit
    gates: TierGates
    tiers: TierPolicy
    text: str = field(repr=False)

    @property
    def recipe(self) -> ValueRecipe:
        """How a model is fitted, but for what is chosen."""
        fit = self.fit
        return ValueRecipe(
            cuts=fit.cuts,
            penalties=fit.penalties,
            tree_share=fit.tree_share,
            ensembles=fit.ensembles,
            rounds=fit.rounds,
            leaves=fit.leaves,
            learning_rate=fit.learning_rate,
            seed=self.seed,
        )


def read_tier_experiment(models: Path, name: str) -> TierExperiment:
    """Read `models/<name>/config.toml`.

    Raises:
        InputError: there is none, or it is not as it must be.
    """
    return read_config(models, name, TierExperiment)
