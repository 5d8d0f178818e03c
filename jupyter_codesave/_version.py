"""The version, from one source: the Python package and the labextension read it here."""

__version__ = "0.1.0"
