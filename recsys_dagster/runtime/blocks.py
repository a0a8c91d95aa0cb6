"""Define how much is processed at once, so that the memory of a step does not grow with the data."""

from recsys_dagster.runtime.units import MIB

SCORE_BYTES = 64 * MIB
"""Bytes of one block of float32 scores or similarities."""
USERS_PER_BLOCK = 8192
"""Users whose lists are made at once; their scores are blocked further by `SCORE_BYTES`."""
PREDICTIONS_PER_BLOCK = 2**20
"""Pairs whose ratings are predicted at once."""
PAIRS_PER_BLOCK = 2**16
"""Pairs of user and item whose vectors are gathered at once."""
