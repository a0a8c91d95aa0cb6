"""How good a model is, and how sure that is: metrics, intervals over users, the leaderboard and its champion."""
