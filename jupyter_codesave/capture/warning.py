"""Warnings to the user, from the line of theirs that called."""

from __future__ import annotations

import sys
import warnings

_NOT_THEIRS = ("jupyter_codesave", "IPython")  # a magic is called by IPython
_told: set[str] = set()


def warn(text: str) -> None:
    """Warn as `warnings.warn` does, from where this package was called."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_THEIRS:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


def warn_once(about: str, text: str) -> None:
    """Warn, but not again about the same."""
    if about not in _told:
        _told.add(about)
        warn(text)


def warn_unknown(where: str, names: list[str]) -> None:
    """Warn of names that are W&B's, not ours; once each."""
    new = [name for name in names if f"{where} {name}" not in _told]
    if new:
        _told.update(f"{where} {name}" for name in new)
        warn(f"codesave's {where} does not know {', '.join(sorted(new))}: ignored")
