"""A recommender factory: raw rating files in, honest evaluation and published top-N lists out."""

import os

# OpenBLAS's threads go on spinning for a while after each product, in the way of the compiled loops that come after it:
# let them sleep. It is read when NumPy is imported.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
