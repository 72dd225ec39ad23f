"""The object store of a mirror: access, credentials, and its errors."""
