"""What every package may need: paths under RECSYS_HOME, atomic storage, locks, progress bars, resource usage, versions.

Nothing here knows what a recommender is.
"""
