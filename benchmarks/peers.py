"""The peers: what a sales team or a data scientist would use otherwise, each on the protocol's rows and features.

A peer takes the training rows (with `outcome` won or lost), the test rows, the features with their types and the
column that orders the rows in time, and gives one probability a test row. Seeds are fixed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import polars as pl
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Features = Mapping[str, Literal["num", "cat"]]
Peer = Callable[[pl.DataFrame, pl.DataFrame, Features, str | None], Floats]

SEED = 0
TRIALS = 40
FOLDS = 4


def prior(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:  # noqa: ARG001
    """Give every row the win rate of the training rows."""
    return np.full(test.height, _won(train).mean())


def naive_bayes(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:  # noqa: ARG001
    """Score by Odoo's published idea of predictive lead scoring; a stage is a category like any other.

    Every value of every categorical field keeps how many opportunities with it were won and lost, each count starting
    at 0.1. With W, L the won and lost of all, and of a field's value v: w_v, l_v with w, l their sums over the field,

        won = W/(W+L) * product(w_v / w),  lost = L/(W+L) * product(l_v / l),  probability = won / (won + lost),

    kept within .01 and 99.99 percent. Missing and unseen values take no part, and neither do numbers.
    """
    won = _won(train)
    log_odds = np.full(test.height, np.log(won.sum() / (1 - won).sum()))
    for name in _named(features, "cat"):
        log_odds += _log_ratios(train, test, name)
    probability: Floats = 1 / (1 + np.exp(-log_odds))
    return np.clip(probability, 0.0001, 0.9999)


def _log_ratios(train: pl.DataFrame, test: pl.DataFrame, name: str) -> Floats:
    counts = (
        train.drop_nulls(name)
        .group_by(name)
        .agg(won=0.1 + (pl.col("outcome") == "won").sum(), lost=0.1 + (pl.col("outcome") == "lost").sum())
        .with_columns(log_ratio=(pl.col("won") / pl.col("won").sum() / (pl.col("lost") / pl.col("lost").sum())).log())
    )
    joined = test.select(name).join(counts, on=name, how="left", maintain_order="left")
    return joined["log_ratio"].fill_null(0.0).to_numpy()


def logistic_regression(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:  # noqa: ARG001
    """Fit logistic regression on one-hot categories and standardised log numbers, with scikit-learn's C of 1."""
    model = _logistic(features).fit(_matrix(train, features), _won(train))
    return _second(model.predict_proba(_matrix(test, features)))


def logistic_regression_tuned(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:
    """Fit the same with C by cross-validation in time order."""
    train = _in_order(train, time)
    won = _won(train)
    search = GridSearchCV(
        _logistic(features),
        {"logisticregression__C": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]},
        scoring="neg_log_loss",
        cv=_folds(won, time),
        error_score="raise",
    )
    search.fit(_matrix(train, features), won)
    return _second(search.predict_proba(_matrix(test, features)))


def _logistic(features: Features) -> Pipeline:
    names = list(features)
    numbers = [names.index(name) for name in _named(features, "num")]
    categories = [names.index(name) for name in _named(features, "cat")]
    scale = make_pipeline(
        FunctionTransformer(_signed_log),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
    columns = ColumnTransformer([("numbers", scale, numbers), ("categories", one_hot, categories)])
    return make_pipeline(columns, LogisticRegression(max_iter=3000))


def _signed_log(values: NDArray[np.object_]) -> Floats:
    numbers = values.astype(np.float64)
    # Amounts span orders of magnitude, and a line in the raw amount learns only from the largest.
    logs: Floats = np.sign(numbers) * np.log1p(np.abs(numbers))
    return logs


def lightgbm_defaults(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:
    """Fit LightGBM as it comes, with its own handling of categories."""
    x_train, x_test = _codes(_in_order(train, time), test, features)
    return _second(_boosted(x_train, _won(_in_order(train, time)), features).predict_proba(x_test))


def lightgbm_tuned(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:
    """Tune LightGBM by 40 trials on time-ordered folds; a sigmoid of the out-of-fold log-odds calibrates it."""
    train = _in_order(train, time)
    x_train, x_test = _codes(train, test, features)
    won = _won(train)
    folds = _folds(won, time)
    options = _best_options(x_train, won, features, folds)
    rows, unseen = _out_of_fold(x_train, won, features, folds, options)
    sigmoid = LogisticRegression(C=1e6).fit(_log_odds(unseen)[:, None], won[rows])
    raw = _second(_boosted(x_train, won, features, options).predict_proba(x_test))
    return _second(sigmoid.predict_proba(_log_odds(raw)[:, None]))


def _best_options(
    x: Floats, won: Floats, features: Features, folds: Iterable[tuple[Indices, Indices]]
) -> dict[str, Any]:
    import optuna
    from sklearn.metrics import log_loss

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def loss(trial: optuna.Trial) -> float:
        rows, unseen = _out_of_fold(x, won, features, folds, _suggested(trial))
        return float(log_loss(won[rows], unseen))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(loss, n_trials=TRIALS)
    return _suggested(optuna.trial.FixedTrial(study.best_params))


def _suggested(trial: Any) -> dict[str, Any]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 30, 500, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 3, 63, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 200, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "subsample_freq": 1,
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 30, log=True),
        "cat_smooth": trial.suggest_float("cat_smooth", 1, 200, log=True),
        "cat_l2": trial.suggest_float("cat_l2", 1, 100, log=True),
    }


def _out_of_fold(
    x: Floats, won: Floats, features: Features, folds: Iterable[tuple[Indices, Indices]], options: dict[str, Any]
) -> tuple[Indices, Floats]:
    rows, unseen = [], []
    for known, held_out in folds:
        model = _boosted(x[known], won[known], features, options)
        rows.append(held_out)
        unseen.append(_second(model.predict_proba(x[held_out])))
    return np.concatenate(rows), np.concatenate(unseen)


def _boosted(x: Floats, won: Floats, features: Features, options: Mapping[str, Any] | None = None) -> LGBMClassifier:
    columns = [list(features).index(name) for name in _named(features, "cat")]
    model = LGBMClassifier(random_state=SEED, verbosity=-1, n_jobs=2, **(options or {}))
    return model.fit(x, won, categorical_feature=columns)


def catboost_defaults(train: pl.DataFrame, test: pl.DataFrame, features: Features, time: str | None) -> Floats:
    """Fit CatBoost as it comes, with its own handling of categories."""
    from catboost import CatBoostClassifier  # type: ignore[import-untyped]

    train = _in_order(train, time)
    columns = [list(features).index(name) for name in _named(features, "cat")]
    model = CatBoostClassifier(
        random_seed=SEED, cat_features=columns, verbose=False, allow_writing_files=False, thread_count=2
    )
    model.fit(_matrix(train, features), _won(train))
    return _second(model.predict_proba(_matrix(test, features)))


def _won(rows: pl.DataFrame) -> Floats:
    return (rows["outcome"] == "won").cast(pl.Float64).to_numpy()


def _named(features: Features, kind: str) -> list[str]:
    return [name for name, given in features.items() if given == kind]


def _in_order(rows: pl.DataFrame, time: str | None) -> pl.DataFrame:
    return rows if time is None else rows.sort(time, "id")


def _folds(won: Floats, time: str | None) -> list[tuple[Indices, Indices]]:
    if time is None:
        return list(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(won, won))
    # Where wins are rare the first window may hold none, and nothing can be fitted on it.
    return [fold for fold in TimeSeriesSplit(FOLDS).split(won) if 0 < won[fold[0]].mean() < 1]


def _matrix(rows: pl.DataFrame, features: Features) -> NDArray[np.object_]:
    ready = [
        pl.col(name).cast(pl.Float64).fill_null(np.nan) if kind == "num" else pl.col(name).fill_null("missing")
        for name, kind in features.items()
    ]
    return rows.select(ready).to_numpy().astype(object)


def _codes(train: pl.DataFrame, test: pl.DataFrame, features: Features) -> tuple[Floats, Floats]:
    coded = {name: pl.Enum(train[name].drop_nulls().unique().sort()) for name in _named(features, "cat")}
    ready = [
        pl.col(name).cast(coded[name], strict=False).to_physical().cast(pl.Float64)
        if name in coded
        else pl.col(name).cast(pl.Float64)
        for name in features
    ]
    return train.select(ready).to_numpy(), test.select(ready).to_numpy()


def _log_odds(probability: Floats) -> Floats:
    kept = np.clip(probability, 1e-9, 1 - 1e-9)
    odds: Floats = np.log(kept / (1 - kept))
    return odds


def _second(probabilities: Any) -> Floats:
    column: Floats = np.asarray(probabilities, dtype=np.float64)[:, 1]
    return column


CHEAP_PEERS: dict[str, Peer] = {
    "prior": prior,
    "Odoo's naive Bayes": naive_bayes,
    "logistic regression": logistic_regression,
    "logistic regression, C by CV": logistic_regression_tuned,
    "LightGBM defaults": lightgbm_defaults,
}
PEERS: dict[str, Peer] = CHEAP_PEERS | {
    "tuned LightGBM + sigmoid": lightgbm_tuned,
    "CatBoost defaults": catboost_defaults,
}
