"""The fixtures of fitted models."""

from fitted_models import data, fitted, reloaded

__all__ = ["data", "fitted", "reloaded"]
