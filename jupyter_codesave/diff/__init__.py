"""How any two saved codes differ: notebooks cell by cell, texts by lines, manifests by files."""

from __future__ import annotations

from .normalize import normalize

__all__ = ["normalize"]
