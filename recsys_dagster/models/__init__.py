"""Recommenders under one contract: fitted on arrays in index space, saved and loaded without pickles.

Importing this package imports no library that trains; `get_model_class` imports the one model that is asked for.
"""
