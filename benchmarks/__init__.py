"""How fast the project is, and in how much memory, beside what people would otherwise use. Not part of the tests.

One module a question, each with `figures(size)`: what was asked, what was found, what was hoped for. `measuring` takes
each measurement in a process of its own and keeps it; `results` writes RESULTS.md. `python -m benchmarks` runs it all.
"""
