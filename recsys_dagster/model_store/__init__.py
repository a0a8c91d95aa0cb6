"""What is kept of each model: its versions, the champion, tuned parameters and the outcome of the last run.

How a model is fitted belongs in `models`; who should be champion in `lifecycle`.
"""
