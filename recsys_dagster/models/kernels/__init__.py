"""Compiled loops (numba) that several models share."""
