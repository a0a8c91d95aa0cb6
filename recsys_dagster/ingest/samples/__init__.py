"""Generated samples in the formats of the publishers: an invented world of users and items, of any size."""
