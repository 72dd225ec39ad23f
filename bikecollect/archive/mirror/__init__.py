"""The mirror: a copy of the archive in an object store, verified on arrival."""
