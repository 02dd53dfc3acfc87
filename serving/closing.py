"""When opportunities will close, as the score says."""

from collections.abc import Mapping
from typing import Any

from serving.listing import Stored
from serving.schemas import Closing


def stored_closing(stored: Stored) -> Closing | None:
    """Tell when an opportunity is expected to end, as its latest score says; None where it is closed or nothing is said."""
    if stored.opportunity.status != "open" or stored.score is None or stored.score.closing is None:
        return None
    return Closing(**stored.score.closing)


def scored_closing(row: Mapping[str, Any]) -> Closing | None:
    """Tell when a scored opportunity is expected to end; None where the version has no win curve.

    Args:
        row: as `scores.score_opportunities` gives it.
    """
    if row["expected_close_on"] is None:
        return None
    return Closing(
        expected_close_on=row["expected_close_on"],
        low=row["expected_close_low"],
        high=row["expected_close_high"],
        probability_of_slipping=row["probability_of_slipping"],
        won_by=row["won_by"],
    )
