"""The messages between actors and edge: HTTP API, its document and the wire are made of them.

The first word of a module's name is the actor that its messages belong to.
"""
