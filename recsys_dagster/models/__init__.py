"""Recommenders with one contract: fitted on arrays in index space, saved and loaded without pickles.

Models, and what families of models share, belong here. Where fitted models are stored belongs in `model_store`, and how
they are evaluated in `evaluation`. Importing this package imports no library that trains.
"""
