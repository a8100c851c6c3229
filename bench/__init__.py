"""Measurements against peers: `python -m bench`, or `./dev bench`. docs/performance.md says what they mean."""
