"""The list of models. Adding one is its own file and one line here.

A model is named by its class's path, so that asking what exists imports none of the libraries that train.
"""
