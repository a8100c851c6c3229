"""Typed data access, one package for all actors; the only place with SQL besides migrations and store drivers."""
