"""The archive's second home: a copy in an object store, verified on arrival."""
