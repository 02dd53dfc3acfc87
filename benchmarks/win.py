"""Judge win probabilities: the product against its peers, on the same rows."""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.measures import difference, measure
from benchmarks.peers import Peer
from benchmarks.preparation import as_known, prepare, prepare_walk, shuffled
from benchmarks.product import CommandFailedError, Scored, score_win_set, walk_forward
from benchmarks.sets import WinSet

PRODUCT = "Forecast"
WALKED = {"uci_bank": "1q"}
"""Sets whose level drifts, and how often the product is trained again on them."""
AS_KNOWN = ("olist",)
"""Sets of which a CRM would have told more at the split than their protocol lets peers use."""
RECALIBRATED = "1w"
WALK_TRIALS = 2
SHUFFLED_ROWS = 4_000
SHUFFLED_TRIALS = 5  # fewer would leave out a kind of trees
SHUFFLE_SEED = 7

Floats = NDArray[np.float64]


def judge(win_set: WinSet, peers: dict[str, Peer]) -> dict[str, Any]:
    """Give a set's results: size, base rate, and one entry a method, the product first."""
    won = _won(win_set.test)
    answers: dict[str, Floats] = {}
    entries = [_product_entry(win_set, won, answers)]
    entries += [_peer_entry(name, peer, win_set, won, answers) for name, peer in peers.items()]
    return {
        "name": win_set.name,
        "train_count": win_set.train.height,
        "test_count": win_set.test.height,
        "base_rate": float(won.mean()),
        "methods": [_compared(entry, won, answers) for entry in entries],
    }


def judge_shuffled(win_set: WinSet) -> dict[str, Any]:
    """Give the product's answer to shuffled training outcomes; it must not promote a version."""
    mixed = shuffled(win_set, seed=SHUFFLE_SEED, most=SHUFFLED_ROWS)
    entry = _product_entry(mixed, _won(win_set.test), {}, trials=SHUFFLED_TRIALS)
    return {"name": win_set.name, **entry}


def judge_as_known(win_set: WinSet) -> dict[str, Any]:
    """Give the product's result with all that the CRM knew at the split."""
    return {**judge(as_known(win_set), {}), "name": f"{win_set.name}, as known at the split"}


def judge_walk(win_set: WinSet) -> dict[str, Any]:
    """Give the result of training and recalibrating through the test rows' time, outcomes of earlier ones being known by then."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        files = prepare_walk(win_set, Path(folder) / "files")
        try:
            walked = walk_forward(
                win_set,
                files,
                Path(folder) / "home",
                every=WALKED[win_set.name],
                recalibrate_every=RECALIBRATED,
                trials=WALK_TRIALS,
            )
        except CommandFailedError as error:
            return {"name": win_set.name, "failed": str(error)}
    figures = asdict(measure(_won(win_set.test), walked.probability.to_numpy()))
    return {
        "name": win_set.name,
        "every": WALKED[win_set.name],
        **figures,
        "windows": walked.windows,
        "promoted_windows": walked.promoted,
        "recalibrated": walked.recalibrated,
        "seconds": walked.seconds,
    }


def _product_entry(
    win_set: WinSet, won: Floats, answers: dict[str, Floats], *, trials: int | None = None
) -> dict[str, Any]:
    try:
        scored = _scored(win_set, trials)
    except CommandFailedError as error:
        return {"method": PRODUCT, "failed": str(error)}
    answers[PRODUCT] = scored.probability.to_numpy()
    return {
        "method": PRODUCT,
        **asdict(measure(won, answers[PRODUCT])),
        "promoted": scored.promoted,
        "basis": scored.basis,
        "seconds": sum(scored.seconds.values()),
        "seconds_by_step": scored.seconds,
    }


def _scored(win_set: WinSet, trials: int | None) -> Scored:
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        files = prepare(win_set, Path(folder) / "files")
        return score_win_set(win_set, files, Path(folder) / "home", trials=trials)


def _peer_entry(name: str, peer: Peer, win_set: WinSet, won: Floats, answers: dict[str, Floats]) -> dict[str, Any]:
    started = time.perf_counter()
    answers[name] = peer(win_set.train, win_set.test, win_set.features, win_set.time)
    seconds = time.perf_counter() - started
    return {"method": name, **asdict(measure(won, answers[name])), "seconds": seconds}


def _compared(entry: dict[str, Any], won: Floats, answers: dict[str, Floats]) -> dict[str, Any]:
    """Add the product's log loss as a ratio to this method's, and the paired difference with its standard error."""
    if PRODUCT not in answers or entry["method"] == PRODUCT:
        return entry
    ours, theirs = answers[PRODUCT], answers[entry["method"]]
    mean, error = difference(won, ours, theirs)
    ratio = measure(won, ours).log_loss / entry["log_loss"]
    return {**entry, "ratio": ratio, "difference": mean, "difference_error": error}


def _won(rows: pl.DataFrame) -> Floats:
    return (rows["outcome"] == "won").cast(pl.Float64).to_numpy()
