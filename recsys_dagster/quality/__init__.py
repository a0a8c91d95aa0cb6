"""Checks of the data, of the folds and of the finished lists, before anything is published.

What belongs here: functions that take a domain and return what was expected and what was found. The docstring of a
check explains it and, after "Cure:", says what to do when it fails; the UI and docs/on-call.md show the same text. What
does not belong here: checks that Dagster knows of, which `orchestration` makes of these.
"""
