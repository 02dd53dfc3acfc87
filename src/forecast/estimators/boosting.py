"""Gradient-boosted trees: LightGBM, kept in its own text format."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import lightgbm as lgb
import numpy as np

from forecast.estimators.encoding import Encoding
from forecast.metrics import Floats

MATRIX_SIZE_FOR_THREADS = 4_000_000

FIXED_PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "objective": "binary",
        "metric": "binary_logloss",
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "min_data_per_group": 20,
        "bagging_freq": 1,
    }
)


@dataclass(frozen=True)
class Boosting:
    """A fitted ensemble of trees; `text` is LightGBM's model file."""

    text: str

    @cached_property
    def booster(self) -> lgb.Booster:
        """The parsed model."""
        return lgb.Booster(model_str=self.text)

    def log_odds(self, matrix: Floats) -> Floats:
        """Give the log-odds of each row."""
        if not len(matrix):  # LightGBM fails on no rows
            return np.zeros(0)
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=_threads(matrix)), dtype=np.float64)

    def contributions(self, matrix: Floats) -> Floats:
        """Give TreeSHAP contributions (Lundberg et al. 2020) of shape (rows, features + 1); the last is the bias.

        Each row adds up to its log-odds.
        """
        if not len(matrix):
            return np.zeros((0, matrix.shape[1] + 1))
        return np.asarray(
            self.booster.predict(matrix, pred_contrib=True, num_threads=_threads(matrix)), dtype=np.float64
        )

    @classmethod
    def of(cls, booster: lgb.Booster) -> Self:
        """Keep a booster as text."""
        return cls(booster.model_to_string(num_iteration=-1))


def _threads(matrix: Floats) -> int:
    """Give one thread for small matrices, where starting more costs more than it saves; else all (0)."""
    return 1 if matrix.size < MATRIX_SIZE_FOR_THREADS else 0


def training_set(encoding: Encoding, matrix: Floats, won: Floats, weight: Floats) -> lgb.Dataset:
    """Bin a matrix once, to be fitted many times."""
    return lgb.Dataset(
        matrix,
        won,
        weight=weight,
        categorical_feature=encoding.category_positions,
        feature_name=[f"f{position}" for position in range(matrix.shape[1])],
        params={**FIXED_PARAMETERS, "num_threads": _threads(matrix)},
    )


def fit_boosting(data: lgb.Dataset, parameters: Mapping[str, Any], rounds: int, seed: int) -> lgb.Booster:
    """Fit a number of rounds; same data, parameters, rounds and seed give the same trees."""
    return lgb.train({**(data.params or {}), **parameters, "seed": seed}, data, num_boost_round=rounds)


def fit_boosting_until_worse(
    data: lgb.Dataset, valid: lgb.Dataset, parameters: Mapping[str, Any], rounds_max: int, seed: int
) -> lgb.Booster:
    """Fit until the log loss of `valid` has not improved for 30 rounds; `best_iteration` says where it was lowest."""
    return lgb.train(
        {**(data.params or {}), **parameters, "seed": seed},
        data,
        num_boost_round=rounds_max,
        valid_sets=[valid],
        callbacks=[lgb.early_stopping(30, verbose=False)],
    )
