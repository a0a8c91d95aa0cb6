"""What must not happen too often at once, across runs; `dagster.yaml` says how often that is."""

FITTING = "fitting"
"""Steps that fit a model: each takes as much memory as the machine was bought for."""
