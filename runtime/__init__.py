"""Troupe's actor runtime: the stage. It knows nothing of tasks or users."""
