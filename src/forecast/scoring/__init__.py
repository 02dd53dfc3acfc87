"""Scores of opportunities and leads: probabilities with their grades, reasons and closing days, and where they go."""
