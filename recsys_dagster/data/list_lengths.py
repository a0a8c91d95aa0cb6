"""Define the lengths of recommendation lists that several packages use."""

SHORT_LIST = 10
"""What a page shows at once; NDCG@10 on the validation fold chooses the champion."""
LONG_LIST = 100
"""The longest list that is evaluated; NDCG@100 tunes parameters and weights."""
