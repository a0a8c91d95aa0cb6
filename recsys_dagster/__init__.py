"""A recommender factory: from raw rating files to evaluated models and published recommendations."""

import os

# Threads of OpenBLAS (matrix products) and OpenMP (compiled loops) spin for a while after their work is done, which
# slows down whatever runs next. These variables let them sleep; both are read when the libraries are loaded.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
