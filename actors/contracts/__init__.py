"""The messages between actors and edge, one module an actor: HTTP API, its document and the wire are made of them."""
