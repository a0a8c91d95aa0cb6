"""Find out how the files of a user are written and what their columns mean, and write the declaration of the dataset.

Here belongs what `recsys import` does before a run. Not here: reading the rows of a declared dataset into a warehouse.
"""
