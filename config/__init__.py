"""Typed settings from flags, environment, `.env` and a profile, in this order of precedence."""
