"""Estimators: fitted on arrays and frames, kept as plain text and JSON."""
