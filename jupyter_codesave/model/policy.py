"""Policies: when a saved file is stored."""

from __future__ import annotations

from typing import Literal, get_args

Policy = Literal["live", "now", "end"]
POLICIES: tuple[str, ...] = get_args(Policy)
