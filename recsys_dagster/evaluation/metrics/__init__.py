"""The metrics: what each is called, which direction is better, and the function that computes it.

What belongs here: definitions, as pure functions of arrays, and `registry`, the one list of them. What does not: where
the arrays come from (`evaluation.evaluate`) and how certain a mean is (`evaluation.intervals`).
"""
