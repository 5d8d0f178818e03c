"""Digests: `sha256:` and 64 hex digits name bytes everywhere."""

from __future__ import annotations

import hashlib
import re
from typing import Any, BinaryIO

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Name `data` by its SHA-256."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_stream(stream: BinaryIO, sink: Any = None) -> tuple[str, int]:
    """Name what `stream` yields, in bounded memory; write it on to `sink` when one is given.

    Returns the digest and the number of bytes read.
    """
    sha, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        sha.update(chunk)
        size += len(chunk)
        if sink is not None:
            sink.write(chunk)
    return "sha256:" + sha.hexdigest(), size


def is_digest(text: object) -> bool:
    """Tell whether `text` is spelled as a digest."""
    return isinstance(text, str) and _PATTERN.fullmatch(text) is not None
