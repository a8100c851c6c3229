"""Real servers for the tests, started only when a test asks for one.

`obtain` looks in this order: an address in the environment, a container engine, programs of this machine.
"""


class Unobtainable(Exception):
    """A way to a server, or every way, led nowhere; the text says why."""
