"""Linear models over items, in closed form."""
