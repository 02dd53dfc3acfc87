"""Forecasts from what is known ahead and revenue comes to a usual share of: quotas, budgets, order books, price plans.

Such an input times the usual ratio of revenue to it is a forecast of its own. How much it may say beside the ensemble
is learnt from earlier origins.
"""

from dataclasses import dataclass

import numpy as np

from forecast.series.backtest import Trial
from forecast.series.inputs import Inputs
from forecast.series.panel import Floats, Ints, Panel

# Periods after which a ratio counts half: those of a season, and at least so many.
HALF_LIFE_MIN = 4
# An input that no earlier origin could try has this share; as many tries weigh as much as that.
UNTRIED_SHARE, TRIES = 0.2, 10
# What does not lower the error of later origins by this share is chance.
GAIN_MIN = 0.01
SHARES = np.arange(0, 1.01, 0.05)


def names_of_amounts(inputs: Inputs) -> list[str]:
    """Name the inputs that revenue can be a ratio of: never negative, and above zero more often than not where known."""
    known = np.concatenate([*inputs.past, *inputs.future])
    lowest, positive = np.nanmin(known, axis=0), (known > 0).sum(axis=0) / np.isfinite(known).sum(axis=0)
    return [name for name, low, often in zip(inputs.names, lowest, positive, strict=True) if low >= 0 and often > 0.5]


def mixed(mean: Floats, panel: Panel, inputs: Inputs, shares: dict[str, float]) -> Floats:
    """Mix the forecast by each input into that of the ensemble, by its share; where it is unknown the ensemble stays."""
    for name, share in shares.items():
        if share > 0:
            mean = _mix(mean, ratio_forecast(panel, inputs.named([name]), mean), share)
    return mean


def _mix(mean: Floats, forecast: Floats, share: float) -> Floats:
    found: Floats = np.where(np.isfinite(forecast), mean + share * (forecast - mean), mean)
    return found


def ratio_forecast(panel: Panel, inputs: Inputs, mean: Floats) -> Floats:
    """Forecast series × steps as one input times the usual ratio of revenue to it; nan where it is unknown or zero.

    Args:
        mean: series × steps, forecasts without the input: they say how an amount of a longer period spreads over it.
    """
    blocks = [_blocks(panel, inputs, index, mean[index]) for index in range(len(panel.ids))]
    size = max(1, int(np.median(np.concatenate([block.counts for block in blocks]))))
    ratios = usual_ratios(blocks, size, half_life=max(HALF_LIFE_MIN, panel.season / size))
    return np.array(
        [ratio * block.spread(own, size) for ratio, block, own in zip(ratios, blocks, mean, strict=True)],
        dtype=np.float64,
    )


@dataclass(frozen=True, kw_only=True)
class _Blocks:
    """The periods of an input and what one series has in them.

    Attributes:
        amounts: of the input; nan where unknown.
        counts: of the series' periods, history and horizon.
        history: revenue of the periods that are history.
        ahead: forecast revenue of the periods that are not; nan where there are none.
        places: index of the block of each step.
    """

    amounts: Floats
    counts: Ints
    history: Floats
    ahead: Floats
    places: Ints

    def over(self, size: int) -> Ints:
        """Give the blocks that are wholly history, and whose amount is known."""
        return np.flatnonzero(np.isnan(self.ahead) & (self.counts >= size) & (np.nan_to_num(self.amounts) > 0))

    def spread(self, own: Floats, size: int) -> Floats:
        """Spread amounts over the steps as the series' own forecasts go, and history before them; evenly over none."""
        whole = (self.history + np.nan_to_num(self.ahead)) * np.maximum(1, size / self.counts)
        even = 1 / np.maximum(size, self.counts)
        usable = (whole[self.places] > 0) & (own >= 0)
        shares = np.where(usable, own / np.where(usable, whole[self.places], 1), even[self.places])
        amounts = self.amounts[self.places]
        return np.where(amounts > 0, amounts * shares, np.nan)


def _blocks(panel: Panel, inputs: Inputs, index: int, own: Floats) -> _Blocks:
    values, past = panel.history[index], inputs.past[index][:, 0]
    amounts = np.concatenate([past, inputs.future[index, :, 0]])
    _, places, counts = np.unique(inputs.blocks[index], return_inverse=True, return_counts=True)
    known = np.bincount(places, np.isfinite(amounts))
    total = np.bincount(places, np.nan_to_num(amounts))
    ahead = np.bincount(places[len(values) :], own, minlength=len(counts)).astype(np.float64)
    ahead[: places[len(values)]] = np.nan
    return _Blocks(
        amounts=np.where(known > 0, total / np.maximum(known, 1), np.nan),
        counts=counts,
        history=np.bincount(places[: len(values)], values, minlength=len(counts)).astype(np.float64),
        ahead=ahead,
        places=places[len(values) :],
    )


def usual_ratios(blocks: list[_Blocks], size: int, *, half_life: float) -> Floats:
    """Estimate each series' ratio of revenue to an input, newer periods counting more, leant on that of its siblings.

    By how far ratios differ between series beyond chance (empirical Bayes): where the input means another thing for each
    series, as prices do, each keeps its own.
    """
    ratios, noise, tries = np.zeros(len(blocks)), np.full(len(blocks), np.nan), np.zeros(len(blocks))
    for index, block in enumerate(blocks):
        over = block.over(size)
        if not len(over):
            continue
        weight = 0.5 ** ((over[-1] - over) / half_life)
        amounts, sold = block.amounts[over], block.history[over]
        ratios[index] = (weight @ sold) / (weight @ amounts)
        tries[index] = weight.sum() ** 2 / (weight @ weight)
        if len(over) > 1 and ratios[index] > 0:
            expected = ratios[index] * amounts
            noise[index] = (weight @ (sold - expected) ** 2) / (weight @ expected**2) * len(over) / (len(over) - 1)
    return _leaning(ratios, noise, tries)


def _leaning(ratios: Floats, noise: Floats, tries: Floats) -> Floats:
    tried = tries > 0
    if not tried.any():
        return np.full(len(ratios), np.nan)
    usual = float(np.median(ratios[tried]))
    if not np.isfinite(noise).any():
        return np.where(tried, ratios, usual)
    chance = float(np.nanmedian(noise)) * usual**2 / np.maximum(tries, 1e-9)
    between = max(0.0, float(np.mean((ratios[tried] - usual) ** 2 - chance[tried])))
    kept = between / (between + chance) if between else np.zeros(len(ratios))
    return np.where(tried, usual + kept * (ratios - usual), usual)


def learn_shares(
    trials: list[Trial], means: list[Floats], panel: Panel, inputs: Inputs
) -> tuple[dict[str, float], list[Floats]]:
    """Learn the share of each input from earlier origins; gives shares and the trials' forecasts with them.

    Args:
        means: one a trial, the ensemble's forecasts.
    """
    shares = {}
    for name in inputs.names:
        one = inputs.named([name])
        known = [one.before(trial.cut, trial.chosen, trial.actual.shape[1]) for trial in trials]
        before = [panel.before(trial.cut, trial.chosen) for trial in trials]
        told = [ratio_forecast(*given) for given in zip(before, known, means, strict=True)]
        missed = [_missed(*given) for given in zip(trials, known, means, told, strict=True)]
        shares[name] = _share_that_holds(missed)
        means = [_mix(mean, forecast, shares[name]) for mean, forecast in zip(means, told, strict=True)]
    return shares, means


def _missed(trial: Trial, inputs: Inputs, mean: Floats, forecast: Floats) -> Floats:
    """Give the ensemble's error and what the input would add, each summed over the input's periods; two columns.

    An input of longer periods is judged by these, as it knows nothing of how they spread.
    """
    rows = []
    for index, scale in enumerate(trial.scale):
        numbers = inputs.blocks[index][-mean.shape[1] :]
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
        pair = np.stack([trial.actual[index] - mean[index], forecast[index] - mean[index]])
        rows.append(np.add.reduceat(pair, starts, axis=1).T / scale)
    found = np.concatenate(rows)
    return np.asarray(found[np.isfinite(found).all(axis=1)], dtype=np.float64)


def _share_that_holds(missed: list[Floats]) -> float:
    """Give the share that lowers errors most, shrunk; none if those learnt before each later origin do not lower its errors.

    Args:
        missed: one an origin, the newest first.
    """
    tried = [rows for rows in reversed(missed) if len(rows)]
    if not tried:
        return UNTRIED_SHARE
    learnt = [_share(np.concatenate(tried[:count])) for count in range(1, len(tried) + 1)]
    later = list(zip(tried[1:], learnt, strict=False)) or [(tried[0], learnt[0])]
    before = sum(float(np.abs(rows[:, 0]).sum()) for rows, _ in later)
    after = sum(float(np.abs(rows[:, 0] - share * rows[:, 1]).sum()) for rows, share in later)
    return learnt[-1] if after < (1 - GAIN_MIN) * before else 0.0


def _share(rows: Floats) -> float:
    errors = np.abs(rows[:, :1] - rows[:, 1:] * SHARES).mean(axis=0)
    return float((len(rows) * SHARES[errors.argmin()] + TRIES * UNTRIED_SHARE) / (len(rows) + TRIES))
