"""Make parts equal wholes: minimum-trace reconciliation, in the mean and in every draw, and nothing negative."""

import numpy as np
from hierarchicalforecast.methods import MinTrace  # type: ignore[import-untyped]
from scipy.special import ndtr
from scipy.stats import norm, rankdata

from forecast.series.panel import Flags, Floats

# Shared history shorter than this says nothing of how errors go together.
RESIDUALS_MIN = 8
# So many errors say how large they are: without it small parts would take errors of large ones.
SPREAD_MIN = 3
# Above so many nodes the covariance is kept to its diagonal: memory and time grow with the square and the cube.
NODES_MAX = 2500
CORRELATION_SHRINKAGE_MIN = 0.1


def projection(parts: Floats, residuals: tuple[Floats, ...]) -> Floats:
    """Give series × nodes: how the forecasts of all nodes make those of the series.

    The mean of two: minimum trace with shrunk covariances of one-step errors (Wickramasuriya et al. 2019, Schäfer and
    Strimmer 2005), and least squares by standard deviations, which trusts totals more: their errors at later steps
    are smaller than one-step errors of their parts promise.
    """
    errors = aligned(residuals)
    if errors.shape[1] < SPREAD_MIN:
        return _least_squares(parts, parts.sum(axis=1))
    floor = max(1e-3 * float(errors.std()), 1e-9)
    by_deviation = _least_squares(parts, errors.std(axis=1) + floor)
    if errors.shape[1] < RESIDUALS_MIN or parts.shape[0] > NODES_MAX or errors.std(axis=1).max() < floor:
        return by_deviation
    return np.asarray((by_deviation + _minimum_trace(parts, errors, floor)) / 2, dtype=np.float64)


def _least_squares(parts: Floats, weights: Floats) -> Floats:
    weighted = parts.T / weights
    return np.asarray(np.linalg.solve(weighted @ parts, weighted), dtype=np.float64)


def _minimum_trace(parts: Floats, errors: Floats, floor: float) -> Floats:
    still = errors.std(axis=1) < floor
    noise = np.random.default_rng(0).standard_normal(errors.shape)
    insample = np.where(still[:, None], errors + floor * noise, errors)
    model = MinTrace(method="mint_shrink")
    model.fit(S=parts, y_hat=np.zeros((len(parts), 1)), y_insample=insample, y_hat_insample=np.zeros_like(insample))
    return np.asarray(model.P, dtype=np.float64)


def aligned(residuals: tuple[Floats, ...]) -> Floats:
    """Give nodes × periods of errors up to the last period, as many as half of the nodes have.

    A node that began later has its own errors again before them: their spread is known, how they go together is not.
    """
    shared = int(np.median([len(row) for row in residuals]))
    return np.array([np.concatenate([np.resize(row, max(0, shared - len(row))), row])[-shared:] for row in residuals])


def without_negatives(values: Floats, signed: Flags, total: Floats) -> Floats:
    """Lift negative series to zero, and scale the rest so that they make the total's own forecast.

    The total keeps what was forecast for it: it is the longest and smoothest series, and the one that is asked for.

    Args:
        values: series × anything.
        signed: one a series, true where it may be negative; with one of them nothing is scaled.
        total: anything, the forecast of the sum of all series.
    """
    lifted = np.where(signed[:, None], values, np.maximum(values, 0))
    found = lifted.sum(axis=0)
    if signed.any():
        return lifted
    wanted = np.maximum(total, 0)
    level = np.where(found > 0, wanted / np.where(found > 0, found, 1), 1)
    # Nothing below, but a total above: it is shared out evenly.
    return np.where(found > 0, lifted * level, wanted / len(values))


def correlation(residuals: tuple[Floats, ...]) -> Floats:
    """Give the correlation of nodes' one-step errors, shrunk towards none by how short the history is."""
    errors = aligned(residuals)
    count, periods = errors.shape
    if periods < RESIDUALS_MIN:
        return np.eye(count)
    ranks = np.apply_along_axis(rankdata, 1, errors) / (periods + 1)
    scores = norm.ppf(ranks)
    spread = scores.std(axis=1, keepdims=True)
    scores = np.where(spread > 0, scores / np.where(spread > 0, spread, 1), 0)
    found = scores @ scores.T / periods
    kept = 1 - max(CORRELATION_SHRINKAGE_MIN, min(1.0, 4 / periods))
    shrunk: Floats = kept * found + (1 - kept) * np.eye(count) + np.diag((1 - np.diag(found)) * kept)
    return shrunk


def square_root(correlations: Floats) -> Floats:
    """Give the matrix that makes independent errors go together as the correlations say."""
    values, vectors = np.linalg.eigh(correlations)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0))
    return root


def correlated_shares(root: Floats | None, persistence: float, *, shape: tuple[int, int, int], seed: int) -> Floats:
    """Draw nodes × horizon × count shares between 0 and 1 that go together across nodes and steps.

    Args:
        root: of the correlations between nodes; None where nodes are independent.
    """
    generator = np.random.default_rng(seed)
    nodes, horizon, count = shape
    steps = np.empty(shape)
    state = np.zeros((nodes, count))
    for step in range(horizon):
        fresh = generator.standard_normal((nodes, count))
        fresh = fresh if root is None else root @ fresh
        state = persistence * state + np.sqrt(1 - persistence**2) * fresh if step else fresh
        steps[:, step] = state
    return np.asarray(ndtr(steps, out=steps), dtype=np.float64)
