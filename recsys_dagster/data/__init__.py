"""Interactions, items, training data and splits in memory, as arrays in index space.

What belongs here: containers of arrays and what follows from them without a model. What does not: reading them from
tables or files, which is in `warehouse`.
"""
