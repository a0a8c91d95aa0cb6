"""How a model becomes the champion, and how its lists reach readers.

The gate compares challengers with the champion, promotion records the decision, publication builds, checks and swaps
in the lists, rollback goes back. How good a model is belongs in `evaluation`; the format of the published file belongs
in `serving`.
"""
