"""What was known of subjects strictly before their moments: the frames, and the comparisons that cut them."""

from forecast.snapshot.cutting import (
    History,
    Snapshot,
    closings_as_closed,
    count_untold,
    cut_history,
    known_opportunities,
    look_back,
    stays_of_history,
    take_snapshot,
)

__all__ = [
    "History",
    "Snapshot",
    "closings_as_closed",
    "count_untold",
    "cut_history",
    "known_opportunities",
    "look_back",
    "stays_of_history",
    "take_snapshot",
]
