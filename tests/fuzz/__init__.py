"""Seeded mutations of everything that comes from outside, and what must hold of the answer to each."""
