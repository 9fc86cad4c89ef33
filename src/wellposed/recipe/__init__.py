"""The only place where a string becomes a thing."""
