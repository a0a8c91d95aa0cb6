"""Models that compare items: nearest neighbours by interactions, by ratings and by genres."""
