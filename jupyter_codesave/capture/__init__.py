"""All that runs inside a user's kernel, terminal or script; it never raises, prints or blocks."""
