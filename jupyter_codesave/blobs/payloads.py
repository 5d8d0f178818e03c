"""Large base64 payloads, cut out of any bytes and joined again, byte for byte.

An image lies in a notebook, in its journal and perhaps as a PNG on disk: cut out and decoded it is
one blob for all of them. A run of base64 is cut when decoding and encoding it gives the same bytes
again; whatever else stays where it is, so that any input comes back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pybase64  # a fiftieth of binascii's time, which was most of reading a version

SMALLEST = 2048  # characters of base64 that are worth a blob
LARGEST = 8 << 20  # characters cut at once when a file streams: bounds the memory
_WINDOW = 2 << 20
_STEP = SMALLEST // 2
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BODY = _ALPHABET + b"\\"  # with the backslash of `\n`, which wraps lines within JSON
_AREA = re.compile(rb"[A-Za-z0-9+/\\]*={0,2}")
_PLAIN, _WRAPPED = 0, 1
_RUNS = re.compile(
    rb"(?P<wrapped>(?:(?<=\\n)|(?<![A-Za-z0-9+/\\]))"
    rb"[A-Za-z0-9+/]{76}(?:\\n[A-Za-z0-9+/]{76}){25,}(?:\\n[A-Za-z0-9+/]{1,75}={0,2})?={0,2})"
    rb"|(?P<plain>(?:(?<=\\n)|(?<![A-Za-z0-9+/\\]))[A-Za-z0-9+/]{2048,}={0,2})"
)


class Payload(NamedTuple):
    """A cut payload: its decoded bytes, and how it was spelled (`join` spells it so again)."""

    spelling: int
    data: bytes


def cut(data: bytes) -> list[bytes | Payload]:
    """Take `data` apart into literal bytes and payloads; `join` over the pieces gives `data`."""
    pieces: list[bytes | Payload] = []
    done = 0
    for start, end in _areas(data):
        for run in _RUNS.finditer(data, start, end):
            payload, length = _decode(run)
            if payload is None:
                continue
            first = run.start()
            if first > done:
                pieces.append(data[done:first])
            pieces.append(payload)
            done = first + length
    if done < len(data) or not pieces:
        pieces.append(data[done:])
    return pieces


def cut_stream(stream: BinaryIO) -> Iterator[bytes | Payload]:
    """Take apart what `stream` yields, in bounded memory; payloads over LARGEST in several."""
    held = b""
    while True:
        chunk = stream.read(_WINDOW)
        window = held + chunk
        if not chunk:
            if window:
                yield from cut(window)
            return
        # A payload that reaches the end of the window may go on behind it: hold it back.
        tail = _tail(window)
        held = b""
        if tail >= LARGEST:
            tail = 0
        if tail:
            held = window[len(window) - tail :]
            window = window[: len(window) - tail]
        if window:
            yield from cut(window)


def join(payload: Payload) -> bytes:
    """Spell a payload as it was."""
    encoded = pybase64.b64encode(payload.data)
    if payload.spelling == _PLAIN:
        return encoded
    return b"\\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))


def spelled_size(spelling: int, size: int) -> int:
    """Give the length of what `join` makes of a payload of `size` bytes."""
    encoded = (size + 2) // 3 * 4
    return encoded if spelling == _PLAIN else encoded + 2 * (max(encoded - 1, 0) // 76)


def _tail(window: bytes) -> int:
    """Count the bytes at the end that may be base64."""
    end = len(window)
    while end > 0 and not window[max(end - 4096, 0) : end].translate(None, _BODY + b"="):
        end = max(end - 4096, 0)
    last = window[max(end - 4096, 0) : end]
    return len(window) - end + len(last) - len(last.rstrip(_BODY + b"="))


def _areas(data: bytes) -> Iterator[tuple[int, int]]:
    """Find where base64 may lie: any run of SMALLEST covers a whole step of _STEP bytes."""
    at, done, size = 0, 0, len(data)
    while at + _STEP <= size:
        if data[at : at + _STEP].translate(None, _BODY):
            at += _STEP
            continue
        before = data[max(done, at - _STEP) : at]
        start = at - (len(before) - len(before.rstrip(_BODY)))
        found = _AREA.match(data, at)
        assert found is not None
        yield start, found.end()
        done = found.end()
        at = -(-done // _STEP) * _STEP


def _decode(run: re.Match[bytes]) -> tuple[Payload | None, int]:
    text, spelling = run[0], _PLAIN
    if run["wrapped"] is not None:
        spelling = _WRAPPED
        text = text.replace(b"\\n", b"")
    try:
        decoded = pybase64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except ValueError:
        return None, 0
    payload = Payload(spelling, decoded)
    if len(payload.data) * 4 < SMALLEST * 3 - 12:
        return None, 0
    spelled = join(payload)
    return (payload, len(spelled)) if run[0].startswith(spelled) else (None, 0)
