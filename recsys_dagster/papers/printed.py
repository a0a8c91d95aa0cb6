"""The metrics that the papers print, and the datasets that they are measured on."""

ANIME_2020 = "anime-recommendation-database-2020"
ML_20M = "ml-20m"
MYANIMELIST = "myanimelist"

PRINTED: dict[tuple[str, str, str, str], tuple[str, float]] = {
    ("000", "anime", "embedding_mlp", "mse"): (ANIME_2020, 0.8872),
    ("000", "anime", "embedding_mlp", "mae"): (ANIME_2020, 0.7492),
    ("000", "anime", "embedding_mlp", "mse_training"): (ANIME_2020, 0.8725),
    ("000", "anime", "embedding_mlp", "mae_training"): (ANIME_2020, 0.7431),
    ("000", "movie", "embedding_mlp", "mse"): (ML_20M, 0.7417),
    ("000", "movie", "embedding_mlp", "mae"): (ML_20M, 0.6606),
    ("000", "movie", "embedding_mlp", "mse_training"): (ML_20M, 0.7306),
    ("000", "movie", "embedding_mlp", "mae_training"): (ML_20M, 0.6556),
    ("001", "movie", "like_classifier", "accuracy"): (ML_20M, 0.7409),
    ("002", "anime", "beta_network_100", "rmse"): (MYANIMELIST, 1.152),
    ("002", "anime", "beta_network_128", "rmse"): (MYANIMELIST, 1.157),
    ("002", "anime", "beta_network_150", "rmse"): (MYANIMELIST, 1.149),
    ("002", "anime", "stack_linear", "rmse"): (MYANIMELIST, 1.130),
    ("002", "anime", "stack_ridge", "rmse"): (MYANIMELIST, 1.130),
    ("002", "anime", "als", "rmse"): (MYANIMELIST, 1.136),
    ("002", "anime", "bilstm", "ndcg@5"): (MYANIMELIST, 0.2953),
    ("002", "anime", "bilstm", "recall@20"): (MYANIMELIST, 0.5065),
    ("002", "anime", "bilstm", "mrr@20"): (MYANIMELIST, 0.2887),
    ("002", "anime", "bilstm", "cross_entropy"): (MYANIMELIST, 4.6612),
    ("003", "anime", "two_tower", "mse_scaled"): (ANIME_2020, 0.0646),
}
"""By paper, domain, system and metric: the dataset, and the printed value."""

DATA = {
    "000": {"anime": ANIME_2020, "movie": ML_20M},
    "001": {"movie": ML_20M},
    "002": {"anime": MYANIMELIST, "movie": MYANIMELIST},
    "003": {"anime": ANIME_2020},
    "004": {"anime": "anime-recommendations-database"},
}
"""By paper and domain: the dataset that the paper uses."""

TRAINING_PAIRS = {("000", "anime"): 41_000_000, ("000", "movie"): 16_000_210}
"""By paper and domain: the training ratings of the paper, four fifths of its 51.3 million and 20,000,263."""
