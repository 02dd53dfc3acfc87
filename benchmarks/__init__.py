"""Measure speed and accuracy as ratios against peers of the same run."""
