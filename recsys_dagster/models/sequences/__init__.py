"""Models of the order in which a user interacts."""
