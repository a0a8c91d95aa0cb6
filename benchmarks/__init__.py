"""Benchmarks of speed and memory, compared with the libraries that are otherwise used. They are not part of the tests.

There is one module for each area, with a function `results(size)` that returns the measured values and their targets.
`measurement` runs each measurement in its own process and stores it. `results_page` writes RESULTS.md.
`python -m benchmarks` runs everything.
"""
