"""Name the pools, which limit how many steps run at once over all runs; `dagster.yaml` sets the limits."""

FITTING = "fitting"
"""Steps that fit a model: each may take most of the memory of the machine."""
