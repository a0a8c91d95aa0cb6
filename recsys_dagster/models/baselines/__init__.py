"""Baselines: popularity for rankings, the damped bias for ratings. Every other model is compared with them."""
