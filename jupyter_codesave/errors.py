"""Errors: one root, few leaves. Each message names the thing, the reason and the way out."""

from __future__ import annotations


class CodeSaveError(Exception):
    """The root of every error this package raises on purpose."""

    reason = "error"
    status = 500  # what HTTP answers


class NotFoundError(CodeSaveError):
    """No run, version, file or path goes by that name."""

    reason = "not-found"
    status = 404


class UsageError(CodeSaveError):
    """The call itself is wrong: an ambiguous reference, a bad option, an unreadable notebook."""

    reason = "usage"
    status = 400


class DamagedError(CodeSaveError):
    """Stored bytes are missing, or are not what was stored."""

    reason = "damaged"
    status = 500


class UnavailableError(CodeSaveError):
    """The store cannot be used now: locked, read-only, full, newer than this package."""

    reason = "unavailable"
    status = 503


class SettingsError(UsageError):
    """A setting has an unknown key or a bad value; the message names key, value and file."""

    reason = "settings"
