"""The metrics: definitions as pure functions of arrays, one value or sum a user."""
