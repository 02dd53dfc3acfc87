"""The outlook of a panel of series: means, ranges and draws, reconciled where there is a hierarchy."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from forecast.series.backtest import Trial, backtest
from forecast.series.boosting import boosted
from forecast.series.combination import combined, member_weights
from forecast.series.hierarchy import Hierarchy, sum_inputs, sum_panel
from forecast.series.inputs import Inputs
from forecast.series.members import Members, forecast_members
from forecast.series.panel import Floats, Panel, may_be_negative
from forecast.series.ranges import LEVELS, Spread, spreads
from forecast.series.ratios import learn_shares, mixed
from forecast.series.reconciliation import correlated_shares, correlation, projection, square_root, without_negatives
from forecast.series.scales import by_disagreement, leaning_on_siblings, with_own_scales

DRAWS_MIN, DRAWS_MAX = 200, 1000
# Numbers held at once, so that memory does not grow with the hierarchy.
DRAWN_MAX = 8_000_000
SEED = 20
SHARES = np.array([share for level in LEVELS for share in (0.5 - level / 200, 0.5 + level / 200)])


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is expected of each node.

    Attributes:
        panel: the history of each node, in the order of what follows.
        mean: nodes × horizon.
        bounds: nodes × horizon × 6: lower and upper bound of the 50, 80 and 95 % ranges.
        draws: nodes × horizon × count of equally likely futures, each of which adds up; None without a hierarchy.
        weights: the weight of each member in the ensemble.
        shares: of each amount known ahead, the share that its usual ratio has in the mean, 0 to 1.
        error: mean absolute error from earlier origins, as a share of each series' level; nan where none could be tried.
        trials_count: series and origins that the ranges were measured on.
    """

    panel: Panel
    mean: Floats
    bounds: Floats
    draws: Floats | None
    weights: dict[str, float]
    shares: dict[str, float]
    error: float
    trials_count: int


@dataclass(frozen=True, kw_only=True)
class _Base:
    """Forecasts of nodes by themselves."""

    mean: Floats
    members: Members
    spreads: list[Spread]
    weights: dict[str, float]
    shares: dict[str, float]
    trials: list[Trial]
    tried: list[Floats]


def outlook_of_series(
    panel: Panel,
    horizon: int,
    *,
    so_far: Floats | None = None,
    amounts: Inputs | None = None,
    draws_count: int = 0,
    seed: int = SEED,
) -> Outlook:
    """Forecast series that add up to nothing.

    Args:
        amounts: what is known ahead and revenue comes to a usual share of, such as quotas.
        so_far: one a series, what the first period ahead holds already; nan where it isn't known.
        draws_count: futures to draw of each series, independently of the others; fewer of very many series.
    """
    base = _base(panel, np.full(len(panel.ids), "all"), horizon, amounts=amounts, seed=seed)
    floors = np.array([-np.inf if may_be_negative(values) else 0.0 for values in panel.history])[:, None, None]
    errors = np.stack([spread.growth[:, None] * spread.error(SHARES) for spread in base.spreads])
    bounds = np.maximum(base.mean[:, :, None] + errors * base.members.deviations[:, :, None], floors)
    draws = None
    if draws_count:
        count = min(draws_count, _draws_count(base.mean))
        draws = np.maximum(_drawn(base, None, count=count, seed=seed), floors)
        _lift_first(draws, so_far, base.mean[:, 0])
    mean = base.mean[:, :, None].copy()
    _lift_first(mean, so_far, base.mean[:, 0])
    _lift_first(bounds, so_far, base.mean[:, 0])
    return _outlook(panel, base, mean[:, :, 0], bounds, draws)


def outlook_of_hierarchy(
    series: Panel,
    hierarchy: Hierarchy,
    horizon: int,
    *,
    so_far: Floats | None = None,
    amounts: Inputs | None = None,
    seed: int = SEED,
) -> Outlook:
    """Forecast all nodes of a hierarchy so that parts equal wholes, in the mean and in every draw.

    Args:
        amounts: what is known ahead of each series and revenue comes to a usual share of; totals have their sums.
        so_far: one a series, what the first period ahead holds already; nan where it isn't known.
    """
    panel = sum_panel(series, hierarchy)
    summed = None if amounts is None else sum_inputs(amounts, series, hierarchy)
    base = _base(panel, hierarchy.nodes["level"].to_numpy(), horizon, amounts=summed, seed=seed)
    signed = np.array([may_be_negative(values) for values in panel.history[-hierarchy.series_count :]])
    drawn = _drawn(base, correlation(base.members.residuals), count=_draws_count(base.mean), seed=seed)
    weights = projection(hierarchy.parts, base.members.residuals)
    gather = partial(_reconciled, weights=weights, signed=signed, keep=_keeps_total(base, weights))
    means, futures = gather(base.mean[:, :, None]), gather(drawn)
    usual = means[:, 0, 0].copy()
    for bottom in (means, futures):
        _lift_first(bottom, so_far, usual)
    mean, draws = (np.tensordot(hierarchy.parts, bottom, axes=1) for bottom in (means, futures))
    return _outlook(panel, base, mean[:, :, 0], np.moveaxis(np.quantile(draws, SHARES, axis=2), 0, 2), draws)


def _draws_count(mean: Floats) -> int:
    return int(np.clip(DRAWN_MAX // mean.size, DRAWS_MIN, DRAWS_MAX))


def _reconciled(values: Floats, *, weights: Floats, signed: np.ndarray, keep: bool) -> Floats:
    """Bring nodes × horizon × count to those of the series, whose sums are the nodes: none negative but where it may be."""
    apart = np.tensordot(weights, values, axes=1).reshape(len(weights), -1)
    total = values[0].ravel() if keep else apart.sum(axis=0)
    return without_negatives(apart, signed, total).reshape(len(weights), *values.shape[1:])


def _keeps_total(base: _Base, weights: Floats) -> bool:
    """Say whether the grand total's own forecast was no worse than its parts' in the trials of all nodes.

    Where hierarchies are too large for such trials it is kept: the more parts, the more their small errors add up.
    """
    own, parts = 0.0, 0.0
    for trial, forecast in zip(base.trials, base.tried, strict=True):
        if len(trial.chosen) == weights.shape[1]:
            own += float(np.abs(forecast[0] - trial.actual[0]).sum())
            parts += float(np.abs((weights @ forecast).sum(axis=0) - trial.actual[0]).sum())
    return own <= parts


def _lift_first(values: Floats, so_far: Floats | None, usual: Floats) -> None:
    """Lift the first period ahead to what it holds already; revenue may be taken back, so only what is above zero.

    What comes on top of more than was expected is as uncertain as what was: the ranges go as far above it.

    Args:
        usual: one a series, what was expected of the period.
    """
    if so_far is not None:
        above = np.maximum(values[:, 0] - usual[:, None], 0)
        values[:, 0] = np.maximum(values[:, 0], np.where(so_far > 0, so_far, -np.inf)[:, None] + above)


def _base(panel: Panel, groups: np.ndarray, horizon: int, *, amounts: Inputs | None, seed: int) -> _Base:
    trials = backtest(panel, horizon, seed=seed)
    weights = member_weights(trials)
    tried = [combined(trial.forecasts, weights) for trial in trials]
    shares: dict[str, float] = {}
    members = forecast_members(panel, horizon)
    forecasts = members.forecasts | boosted(panel, horizon, seed=seed)
    mean = combined(forecasts, weights)
    if amounts is not None:
        shares, tried = learn_shares(trials, tried, panel, amounts)
        mean = mixed(mean, panel, amounts, shares)
    scaled, own = with_own_scales([_scaled(trial, panel, groups, weights) for trial in trials], tried, groups)
    by_group = spreads(scaled, tried, groups, horizon)
    apart = by_disagreement(members.deviations, forecasts, weights)
    return _Base(
        mean=mean,
        members=replace(members, deviations=leaning_on_siblings(apart, panel, groups) * own[:, None]),
        spreads=[by_group[group] for group in groups],
        weights=weights,
        shares=shares,
        trials=trials,
        tried=tried,
    )


def _scaled(trial: Trial, panel: Panel, groups: np.ndarray, weights: dict[str, float]) -> Trial:
    """Scale a trial's deviations by what members and siblings told then."""
    apart = by_disagreement(trial.deviations, trial.forecasts, weights)
    then = panel.before(trial.cut, trial.chosen)
    return replace(trial, deviations=leaning_on_siblings(apart, then, groups[trial.chosen]))


def _error(panel: Panel, base: _Base) -> float:
    """Give the mean absolute error of the trials, as a share of each series' level."""
    levels = np.array([np.abs(values).mean() for values in panel.history])
    errors = [
        np.abs(trial.actual - mean).mean(axis=1) / np.where(levels[trial.chosen] > 0, levels[trial.chosen], np.nan)
        for trial, mean in zip(base.trials, base.tried, strict=True)
    ]
    every = np.concatenate([*errors, [np.nan]])
    return float(every[np.isfinite(every)].mean()) if np.isfinite(every).any() else float("nan")


def _drawn(base: _Base, correlations: Floats | None, *, count: int, seed: int) -> Floats:
    """Draw nodes × horizon × count futures, each node by its own spread; independent ones without correlations."""
    persistence = float(np.mean([spread.persistence for spread in base.spreads]))
    root = None if correlations is None else square_root(correlations)
    shares = correlated_shares(root, persistence, shape=(*base.mean.shape, count), seed=seed)
    for node, spread in enumerate(base.spreads):
        scale = spread.growth * base.members.deviations[node]
        shares[node] = base.mean[node][:, None] + spread.error(shares[node]) * scale[:, None]
    return shares


def _outlook(panel: Panel, base: _Base, mean: Floats, bounds: Floats, draws: Floats | None) -> Outlook:
    return Outlook(
        panel=panel,
        mean=mean,
        bounds=bounds,
        draws=draws,
        weights=base.weights,
        shares=base.shares,
        error=_error(panel, base),
        trials_count=sum(int((trial.alike > 0).sum()) for trial in base.trials),
    )
