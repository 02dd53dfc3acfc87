"""Revenue forecasts as they were made: kept, read again, compared with one another and with what happened."""

from forecast.runs.keeping import Run, find_run, get_newest_run, get_run, keep_forecast, list_runs, read_cells

__all__ = ["Run", "find_run", "get_newest_run", "get_run", "keep_forecast", "list_runs", "read_cells"]
