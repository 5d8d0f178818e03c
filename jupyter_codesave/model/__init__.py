"""Frozen values that the whole house speaks in; no I/O below this folder."""
