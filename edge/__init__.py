"""The edge: HTTP outside, messages inside. It holds no state that an actor or a cache could not give it again."""
