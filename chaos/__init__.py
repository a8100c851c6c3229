"""The fault suite: faults of processes, broker, database, cache and clocks under load, and what became of it.

Each row of it is a fault that real processes on real servers must survive: nothing that was acknowledged is lost,
nothing is done twice, nothing happens that nobody asked for.
"""
