"""Experiments on data that are already here: tuning, backtests of the retraining interval, tracking of fits.

Nothing here changes what is published.
"""
