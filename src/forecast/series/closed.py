"""Places of the season at which a series never sells: weekends of an office, summers of a ski shop."""

from math import comb, log

import numpy as np

from forecast.series.panel import Flags, Floats, Ints, Panel

# By so much the logarithm of the likelihood must be higher than that of zeros that fall anywhere.
EVIDENCE_MIN = 4.0


def closed_places(values: Floats, positions: Ints, season: int) -> Flags:
    """Tell by place in the season where a series never sells, and not by chance: other zeros are too few for that.

    Places seen once tell nothing.
    """
    seen = np.bincount(positions, minlength=season)
    sold = np.bincount(positions, values != 0, minlength=season)
    closed = (sold == 0) & (seen > 1)
    open_count = int(seen[~closed].sum())
    evidence = _likelihood(sold.sum(), open_count) - _likelihood(sold.sum(), len(values))
    # Any set of so many places could have been the one.
    chance = log(comb(season, int(closed.sum())))
    found: Flags = closed & bool(sold.any() and evidence - chance > EVIDENCE_MIN)
    return found


def _likelihood(sold: float, count: int) -> float:
    """Give the highest logarithm of the likelihood of so many periods with sales of so many, wherever they fall."""
    return sum(part * log(part / count) for part in (sold, count - sold) if part)


def closed_steps(panel: Panel, horizon: int) -> Flags:
    """Tell series × horizon at which of the periods ahead a series does not sell."""
    return np.array(
        [
            closed_places(values, panel.positions(index), panel.season)[panel.future_positions(index, horizon)]
            for index, values in enumerate(panel.history)
        ]
    )
