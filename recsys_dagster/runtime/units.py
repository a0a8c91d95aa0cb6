"""Define units of time and size that several packages need."""

DAY_SECONDS = 86_400
MIB = 2**20
GIB = 2**30
