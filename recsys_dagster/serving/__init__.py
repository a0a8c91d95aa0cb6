"""The published file: write it, swap it in, look up lists in it, and recommend to users who are not in it.

What belongs here: the published DuckDB file and everything that reads it. What does not: how lists are computed and
which model is the champion. Importing this package is cheap (no TensorFlow, pandas, pyarrow or NumPy), because the
command line answers from it.
"""
