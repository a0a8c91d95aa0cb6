"""What the compiled loops share."""

CHUNKS = 64
"""Parts that rows are dealt to in turn; many more than threads, so that none waits long for the last."""
FAST = {"contract", "reassoc", "nsz", "arcp"}
"""Liberties of LLVM that vectorise sums of products; numbers that are not numbers stay what they are."""
