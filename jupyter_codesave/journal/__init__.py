"""The journal: the append-only file of a session's records."""
