"""The store: blobs and catalog together, where everything lies."""

from ..catalog.rows import Artifact, Hit, JournalState, Page
from .store import Store

__all__ = ["Artifact", "Hit", "JournalState", "Page", "Store"]
