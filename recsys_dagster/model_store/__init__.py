"""What is stored about each model: its versions, the champion, tuned parameters and the outcome of the last run.

How a model is fitted belongs in `models`, and which model becomes the champion in `lifecycle`.
"""
