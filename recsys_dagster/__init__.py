"""A recommender factory: raw rating files in, honest evaluation and published top-N lists out."""
