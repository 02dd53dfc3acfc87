"""What is stored, read into the frames that snapshots are cut from."""

from forecast.history.reading import (
    OPPORTUNITY_COLUMNS,
    OVERWRITTEN_ON_CLOSE,
    read_history,
    read_pipeline,
    read_sample,
)

__all__ = ["OPPORTUNITY_COLUMNS", "OVERWRITTEN_ON_CLOSE", "read_history", "read_pipeline", "read_sample"]
