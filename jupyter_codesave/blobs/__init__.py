"""Blobs: bytes named by their SHA-256, in a folder, in memory, or in object storage."""
