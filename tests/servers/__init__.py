"""Real servers for the tests, started only when a test asks for one.

`obtain` looks in this order: an address in the environment, a container engine, programs of this machine.
"""
