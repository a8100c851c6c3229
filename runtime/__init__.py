"""Troupe's actor runtime: the stage. It knows nothing of tasks or users."""

VERSION = "0.1.0"
"""Of the whole of Troupe, as in pyproject.toml."""
