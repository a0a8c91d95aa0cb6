"""Interactions, items, training data and splits in memory, as arrays in index space.

Reading them from tables belongs in `warehouse`.
"""
