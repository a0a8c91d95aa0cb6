"""A recommender factory: raw rating files in, honest evaluation and published top-N lists out."""

import os

# The threads of a product of matrices (OpenBLAS) and those of a compiled loop (OpenMP) go on spinning for a while when
# they are done, in the way of the other kind that comes next: let them sleep. Both are read when they are first loaded.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
