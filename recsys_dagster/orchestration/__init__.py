"""Everything that knows Dagster: which assets there are, what they depend on, when they run."""
