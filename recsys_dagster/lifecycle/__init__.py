"""How a model becomes the champion, and how its lists reach readers.

The gate compares challengers with the champion, promotion decides, publication builds, checks and swaps in the lists
and records the decision, rollback goes back. How good a model is belongs in `evaluation`; the format of the published
file belongs in `serving`.
"""
