"""A package of your own, next to recsys_dagster."""
