"""Envelopes: how the store lays out a blob, so that it is small and says itself what it is.

Bytes that do not begin with `MAGIC` are themselves. Behind `MAGIC` follows one byte:

- `RAW`: the bytes themselves (they began with `MAGIC`);
- `ZSTD`: one zstd frame of the bytes;
- `RECIPE`: one zstd frame of steps, each either literal bytes (`L`, u32 length, bytes) or a payload
  that lies in a blob of its own (`P`, u8 spelling, 32 bytes SHA-256, u64 its size).

Steps are read and written in order, in bounded memory, whatever the size of the whole.
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

from ..errors import DamagedError
from .payloads import Payload, join, spelled_size

MAGIC = b"\xc5\xa9B1"
RAW, ZSTD, RECIPE = b"R", b"Z", b"P"
_HEAD = len(MAGIC) + 1
LEVEL = 3  # 19 gains nothing on notebooks with images
_LITERAL = struct.Struct("<cI")
_PAYLOAD = struct.Struct("<cB32sQ")
_LONGEST = 1 << 20  # of a literal when written
_per_thread = threading.local()

Fetch = Callable[[str], bytes]
Part = tuple[int, str, int]  # spelling, digest, size
Step = bytes | Part


def raw(data: bytes) -> bytes:
    """Lay out bytes as they are."""
    return MAGIC + RAW + data if data.startswith(MAGIC) else data


def compressed(data: bytes) -> bytes:
    """Lay out bytes as the smaller of a zstd frame and themselves."""
    if len(data) < 64:
        return raw(data)
    frame: bytes = _compressor().compress(data)
    return MAGIC + ZSTD + frame if len(frame) + _HEAD < len(data) * 0.95 else raw(data)


def recipe(steps: Iterable[Step]) -> bytes:
    """Lay out literals and parts, in their order."""
    sink = io.BytesIO()
    write_recipe(steps, sink)
    return sink.getvalue()


def write_recipe(steps: Iterable[Step], sink: Any) -> None:
    """Write a recipe as its steps come, in bounded memory."""
    import zstandard

    sink.write(MAGIC + RECIPE)
    # One of its own: `steps` may compress other blobs on its way.
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    with compressor.stream_writer(sink, closefd=False) as writer:
        for step in steps:
            if isinstance(step, bytes):
                for at in range(0, len(step), _LONGEST):
                    piece = step[at : at + _LONGEST]
                    writer.write(_LITERAL.pack(b"L", len(piece)))
                    writer.write(piece)
            else:
                spelling, digest, size = step
                writer.write(_PAYLOAD.pack(b"P", spelling, bytes.fromhex(digest[7:]), size))


def is_recipe(envelope: bytes) -> bool:
    """Tell whether a blob leans on others."""
    return envelope.startswith(MAGIC + RECIPE)


def parts(envelope: bytes) -> list[str]:
    """Name the digests that a blob leans on; none unless it is a recipe."""
    if not is_recipe(envelope):
        return []
    return [step[1] for step in steps(envelope) if not isinstance(step, bytes)]


def steps(envelope: bytes) -> list[Step]:
    """Take a recipe apart into its literals and parts; any other blob is one literal."""
    if not is_recipe(envelope):
        return [decode(envelope, _no_parts)]
    data, at, found = _decompress(memoryview(envelope)[_HEAD:]), 0, []
    while at < len(data):
        step, at = _step(data, at)
        found.append(step)
    return found


def spell(part: Part, data: bytes) -> bytes:
    """Give the bytes that a part of a recipe stands for."""
    return join(Payload(part[0], data))


def size_of(steps: Iterable[Step]) -> int:
    """Give the number of bytes that a recipe decodes to."""
    return sum(
        len(step) if isinstance(step, bytes) else spelled_size(step[0], step[2]) for step in steps
    )


def size_told(head: bytes, stored: int) -> int | None:
    """Give the decoded size as the first 64 bytes of a blob tell it; None when they do not."""
    if not head.startswith(MAGIC):
        return stored
    kind = head[_HEAD - 1 : _HEAD]
    if kind == RAW:
        return stored - _HEAD
    if kind != ZSTD:
        return None
    import zstandard

    try:
        told = zstandard.frame_content_size(head[_HEAD:])
    except zstandard.ZstdError:
        return None
    return int(told) if told >= 0 else None


def stream_steps(envelope: BinaryIO) -> Iterator[Step]:
    """Give the steps of a recipe in bounded memory; any other blob is literals."""
    head = envelope.read(_HEAD)
    if head == MAGIC + RECIPE:
        yield from _steps(envelope)
        return
    rest = io.BufferedReader(_Rest(head, envelope))
    yield from decode_stream(cast(BinaryIO, rest), _no_parts)


def decode(envelope: bytes, fetch: Fetch) -> bytes:
    """Give the bytes that were laid out; `fetch` gives the payloads a recipe names.

    Raises DamagedError when the envelope cannot be read; what comes out is not yet verified.
    """
    if not envelope.startswith(MAGIC):
        return envelope
    kind, body = envelope[_HEAD - 1 : _HEAD], memoryview(envelope)[_HEAD:]
    if kind == RAW:
        return bytes(body)
    if kind == ZSTD:
        return _decompress(body)
    if kind != RECIPE:
        raise _unreadable(f"kind {kind!r} is unknown")
    return b"".join(
        step if isinstance(step, bytes) else spell(step, fetch(step[1])) for step in steps(envelope)
    )


def decode_stream(envelope: BinaryIO, fetch: Fetch) -> Iterator[bytes]:
    """Give the bytes that were laid out, piece by piece, in bounded memory."""
    head = envelope.read(_HEAD)
    if not head.startswith(MAGIC):
        yield head
        yield from iter(lambda: envelope.read(1 << 20), b"")
        return
    kind = head[-1:]
    if kind == RAW:
        yield from iter(lambda: envelope.read(1 << 20), b"")
    elif kind == ZSTD:
        with _reader(envelope) as reader:
            yield from iter(lambda: _read(reader, 1 << 20), b"")
    elif kind == RECIPE:
        for step in _steps(envelope):
            yield step if isinstance(step, bytes) else spell(step, fetch(step[1]))
    else:
        raise _unreadable(f"kind {kind!r} is unknown")


class _Rest(io.RawIOBase):
    """A file whose first bytes have been read already."""

    def __init__(self, head: bytes, source: BinaryIO) -> None:
        self._head, self._source = head, source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._head = self._head, b""
        data = data or self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _step(data: bytes, at: int) -> tuple[Step, int]:
    """Read the step at an offset of a recipe; give the offset behind it, too."""
    try:
        if data[at : at + 1] == b"L":
            _, length = _LITERAL.unpack_from(data, at)
            start = at + _LITERAL.size
            if start + length <= len(data):
                return data[start : start + length], start + length
        elif data[at : at + 1] == b"P":
            _, spelling, digest, size = _PAYLOAD.unpack_from(data, at)
            return (spelling, "sha256:" + digest.hex(), size), at + _PAYLOAD.size
        else:
            raise _unreadable(f"step {data[at : at + 1]!r} is unknown")
    except struct.error:
        pass
    raise _unreadable("it ends too early")


def _steps(source: BinaryIO) -> Iterator[Step]:
    with _reader(source) as reader:
        while kind := _read(reader, 1):
            if kind == b"L":
                (length,) = struct.unpack("<I", _exactly(reader, 4))
                if length > _LONGEST:
                    raise _unreadable("a literal is too long")
                yield _exactly(reader, length)
            elif kind == b"P":
                spelling, digest, size = struct.unpack("<B32sQ", _exactly(reader, 41))
                yield spelling, "sha256:" + digest.hex(), size
            else:
                raise _unreadable(f"step {kind!r} is unknown")


def _exactly(reader: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = _read(reader, count - len(data))
        if not piece:
            raise _unreadable("it ends too early")
        data += piece
    return data


def _read(reader: Any, count: int) -> bytes:
    import zstandard

    try:
        return cast(bytes, reader.read(count))
    except zstandard.ZstdError as error:
        raise _unreadable(str(error)) from error


def _decompress(body: memoryview) -> bytes:
    import zstandard

    try:
        # A frame carries its size; a damaged one could claim any, so it is read piece by piece.
        size = zstandard.frame_content_size(body)
        if 0 <= size <= 64 << 20:
            found: bytes = _decompressor().decompress(body)
            return found
        return b"".join(_decompressor().read_to_iter(body))
    except (zstandard.ZstdError, MemoryError) as error:
        raise _unreadable(str(error)) from error


def _compressor() -> Any:
    if not hasattr(_per_thread, "compressor"):
        import zstandard

        _per_thread.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return _per_thread.compressor


def _decompressor() -> Any:
    if not hasattr(_per_thread, "decompressor"):
        import zstandard

        _per_thread.decompressor = zstandard.ZstdDecompressor()
    return _per_thread.decompressor


def _reader(source: BinaryIO) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(source, closefd=False)


def _no_parts(digest: str) -> bytes:
    raise _unreadable(f"it leans on {digest}")


def _unreadable(reason: str) -> DamagedError:
    return DamagedError(
        f"a stored blob cannot be read: {reason}; `jupyter codesave verify` tells what is damaged "
        "and repairs it where it can"
    )
