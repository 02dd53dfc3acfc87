"""The laboratory: trains, tunes, judges and registers model versions."""
