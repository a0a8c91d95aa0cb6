"""Define the options of the compiled loops."""

CHUNKS = 64
"""Number of chunks of rows; many more than threads, so that no thread waits long for the last chunk."""
FAST = {"contract", "reassoc", "nsz", "arcp"}
"""Flags of LLVM that allow sums of products to be vectorised, and that keep NaN as NaN."""
