"""The catalog: what is known of runs, versions and blobs, in SQLite or PostgreSQL."""
