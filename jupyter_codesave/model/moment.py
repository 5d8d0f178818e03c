"""Moments as they are stored: ISO 8601 in UTC (`2026-11-20T14:02:11.123456Z`)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


def spelled(moment: datetime) -> str:
    """Write a moment of any time zone as it is stored."""
    utc = moment.astimezone(timezone.utc)
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def spelled_ns(time_ns: int) -> str:
    """Write nanoseconds of the epoch as moments are stored."""
    return spelled(datetime.fromtimestamp(time_ns / 1e9, timezone.utc))


def parsed(iso: str) -> datetime:
    """Read a stored moment; ValueError when it is none."""
    return datetime.fromisoformat(iso.replace("Z", "+00:00"))


def seconds(iso: str) -> float:
    """Give a stored moment in seconds of the epoch; ValueError when it is none."""
    return parsed(iso).timestamp()


def days_ago(days: int) -> str:
    """Give a moment that stored ones can be compared with as text."""
    moment = datetime.now(timezone.utc) - timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
