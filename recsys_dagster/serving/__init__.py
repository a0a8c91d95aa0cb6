"""Published lists: writing the file that readers open, looking people up in it, and answering those who are not in it.

What belongs here: the published DuckDB file, and nothing of how its lists were made. Importing this package is cheap
(no TensorFlow, pandas, pyarrow or NumPy), because the command line answers from it.
"""
