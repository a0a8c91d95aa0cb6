"""Classifiers of likes: the probability that a user likes an item."""
