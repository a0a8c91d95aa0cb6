"""Baselines: popularity for rankings, the damped bias for ratings. They stand beside every other model."""
