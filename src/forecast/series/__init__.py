"""Forecasts of revenue series: files in, coherent means and ranges out. Needs the extra `training`."""
