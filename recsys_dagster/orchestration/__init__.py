"""Everything that knows Dagster: the assets and what they depend on, checks, jobs, schedules, sensors, and runs.

Nothing outside this package and `definitions.py` imports dagster. What an asset does belongs in the packages below it.
"""
