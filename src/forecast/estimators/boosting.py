"""Gradient-boosted trees: LightGBM, kept in its own text format."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import lightgbm as lgb
import numpy as np

from forecast.estimators.encoding import Encoding
from forecast.estimators.shapley import Tree, read_trees, tree_contributions
from forecast.metrics import Floats

MATRIX_SIZE_FOR_THREADS = 4_000_000
PATIENCE = 40
ROWS_FOR_TABLES = 1_000
"""From how many rows on it pays to work out what leaves pay for every pattern."""

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
    """Fitted ensembles of trees, whose log-odds are averaged; `text` is their LightGBM model files one after another."""

    text: str

    @cached_property
    def boosters(self) -> list[lgb.Booster]:
        """The parsed models."""
        return [lgb.Booster(model_str=text) for text in re.split(r"(?m)^(?=tree\nversion=)", self.text) if text]

    @cached_property
    def trees(self) -> list[Tree]:
        """The trees of all models."""
        return read_trees(self.text)

    def log_odds(self, matrix: Floats) -> Floats:
        """Give the log-odds of each row."""
        if not len(matrix):  # LightGBM fails on no rows
            return np.zeros(0)
        return self._mean(matrix, raw_score=True)

    def log_odds_with_parts(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Give the log-odds of each row, and those of each ensemble, shape (ensembles, rows)."""
        if not len(matrix):
            return np.zeros(0), np.zeros((len(self.boosters), 0))
        parts = np.array(self._answers(matrix, raw_score=True))
        return np.asarray(parts.mean(axis=0)), parts

    def contributions(self, matrix: Floats) -> Floats:
        """Give TreeSHAP contributions (Lundberg et al. 2020) of shape (rows, features + 1); the last is the bias.

        Each row adds up to its log-odds.
        """
        if not len(matrix):
            return np.zeros((0, matrix.shape[1] + 1))
        if len(matrix) < ROWS_FOR_TABLES:
            return self._mean(matrix, pred_contrib=True)
        return tree_contributions(self.trees, matrix) / len(self.boosters)

    def _mean(self, matrix: Floats, **kind: bool) -> Floats:
        return np.asarray(np.mean(self._answers(matrix, **kind), axis=0), dtype=np.float64)

    def _answers(self, matrix: Floats, **kind: bool) -> list[Any]:
        return [booster.predict(matrix, num_threads=_threads(matrix), **kind) for booster in self.boosters]

    @classmethod
    def of(cls, *boosters: lgb.Booster) -> Self:
        """Keep boosters as text."""
        return cls("".join(booster.model_to_string(num_iteration=-1) for booster in boosters))


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


def column_rules(encoding: Encoding, *, line_only: frozenset[str], monotone: Mapping[str, int]) -> dict[str, Any]:
    """Give LightGBM's parameters for columns that are not split on, and for those in which log-odds only rise or fall."""
    rules: dict[str, Any] = {}
    if line_only & set(encoding.features):
        rules["feature_contri"] = [float(name not in line_only) for name in encoding.features]
    if monotone.keys() & set(encoding.numbers):
        rules["monotone_constraints"] = [monotone.get(name, 0) for name in encoding.features]
    return rules


def _given(data: lgb.Dataset, parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Give all parameters; LightGBM leaves those of the last training in the data, the number of trees among them."""
    threads = (data.params or {}).get("num_threads", 0)
    return {**FIXED_PARAMETERS, "num_threads": threads, **parameters, "seed": seed}


def fit_boosting(data: lgb.Dataset, parameters: Mapping[str, Any], rounds: int, seed: int) -> lgb.Booster:
    """Fit a number of rounds; same data, parameters, rounds and seed give the same trees."""
    given = _given(data, parameters, seed)
    return lgb.train(given, data, num_boost_round=rounds, keep_training_booster=True)  # else written and read once more


def fit_boosting_until_worse(
    data: lgb.Dataset, valid: lgb.Dataset, parameters: Mapping[str, Any], rounds_max: int, seed: int
) -> Floats:
    """Fit until the log loss of `valid` has not improved for PATIENCE rounds; give it after each round."""
    losses: dict[str, Any] = {}
    lgb.train(
        _given(data, parameters, seed),
        data,
        num_boost_round=rounds_max,
        valid_sets=[valid],
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False), lgb.record_evaluation(losses)],
        keep_training_booster=True,
    )
    return np.array(losses["valid_0"]["binary_logloss"])
