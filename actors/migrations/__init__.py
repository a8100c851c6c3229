"""One folder an actor: forward-only SQL, applied in the order of the file names."""
