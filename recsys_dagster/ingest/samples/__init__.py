"""The sample generator: invented users, items and ratings, of any size, written in the formats of real datasets.

Nothing here fetches, cleans or evaluates.
"""
