"""Experiments on data that are already here: tuning of parameters and backtests of the retraining interval.

Nothing here changes what is published.
"""
