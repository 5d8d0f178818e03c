"""The tail: text that was printed but not yet published, kept beyond the death of its process.

A stream publishes what was printed only every 200 ms. Until then the text lies in the tail, a
file mapped into memory beside the journal, so that it survives kill -9. Writing it costs about
0.3 µs a print; the file is 2 MB and is removed when the session ends well.

The file is a header (`MAGIC`, u32 size of a chunk, u32 number of chunks of stdout, u32 of
stderr), padded to `_START` bytes, then the chunks. Each stream uses its chunks round and round.
A chunk is a u64 lap (which use of a chunk this is, from 1), then marks and text. UTF-8 never
holds 0xff: that byte begins a mark.

- `ff fe`, u16 length of a key, u64 offset, the key: the text that follows was printed by the
  execution `key`, and `offset` characters were printed by it to this stream before;
- `ff fd`, u64 position, u64 length, u64 characters: text too large for chunks lies there in the
  file, unless it was published since and its place used again;
- `ff ff`: the end (a chunk is filled with ff before its use).

Most of what the chunks hold was recorded long ago, as `stream` messages or `output` events. What
was not is decided by counting: for each key and stream, in the order of the journal, add up the
*characters* of the recorded texts that this very process published (messages of forked children
carry the child's pid in `header.msg_id`, `SESSION_PID_NUMBER`; they do not count). Of an entry,
only the characters behind that sum are new. `unrecorded` does it, so that nothing appears twice.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from .handle import identity, lifted
from .interrupts import is_interrupt

MAGIC = b"CSTAIL01"
SUFFIX = ".tail"
STREAMS = ("stdout", "stderr")
_HEADER = struct.Struct("<8sIII")
_CHUNK = 64 << 10  # what can be mapped on its own, everywhere
_START = _CHUNK
_CHUNKS = (24, 8)
_LAP = struct.Struct("<Q")
_MARK = struct.Struct("<2sHQ")
_BEGIN, _APART, _END = b"\xff\xfe", b"\xff\xfd", b"\xff\xff"
_AWAY = struct.Struct("<2sQQQ")
_PIECE = 12_000  # characters, at most 48 kB of UTF-8: fits a chunk
_LARGE = 5 * _PIECE  # characters from which text is laid apart
_MOST_APART = 64 << 20
_SLICE = 512 << 10  # bytes of one write: more at once are dearer


class TailEntry(NamedTuple):
    """Text that the execution `key` printed to the stream `name`.

    `offset` counts the characters that it had printed to this stream before.
    """

    key: str
    name: str
    offset: int
    text: str


def read_tail(path: Path) -> list[TailEntry]:
    """Give what a tail holds, per stream in the order of printing; [] when there is none.

    What a dying process left half written, and what is garbled, is passed over. OSError when it
    is there and cannot be read.
    """
    try:
        data = path.read_bytes()
        magic, size, *counts = _HEADER.unpack_from(data)
    except (FileNotFoundError, struct.error):
        return []
    if magic != MAGIC or not 0 < size <= len(data):
        return []
    entries: list[TailEntry] = []
    start = _START
    for name, count in zip(STREAMS, counts, strict=True):
        chunks = [data[start + n * size : start + (n + 1) * size] for n in range(count)]
        start += count * size
        used = [chunk for chunk in chunks if len(chunk) == size and _LAP.unpack_from(chunk)[0]]
        for chunk in sorted(used, key=_LAP.unpack_from):
            with suppress(struct.error, ValueError):
                entries.extend(_entries(chunk, name, data))
    return entries


def _entries(chunk: bytes, name: str, data: bytes) -> Iterable[TailEntry]:
    at, key, offset = _LAP.size, "", 0
    while at < len(chunk):
        mark = chunk[at : at + 2]
        if mark == _BEGIN:
            _, length, offset = _MARK.unpack_from(chunk, at)
            at += _MARK.size
            key = chunk[at : at + length].decode("utf-8")
            at += length
        elif mark == _APART:
            _, position, length, characters = _AWAY.unpack_from(chunk, at)
            at += _AWAY.size
            text = _decode(data[position : position + length])
            if len(text) == characters:
                yield TailEntry(key, name, offset, text)
            offset += characters
        elif mark[:1] == b"\xff":
            return
        else:
            end = chunk.find(b"\xff", at)
            end = len(chunk) if end < 0 else end
            text = _decode(chunk[at:end])
            yield TailEntry(key, name, offset, text)
            offset += len(text)
            at = end


def _decode(data: bytes) -> str:
    """Decode, without the half character that a dying process may have left at the end."""
    for cut in range(4):
        with suppress(UnicodeDecodeError):
            return data[: len(data) - cut].decode("utf-8", "surrogatepass")
    return data.decode("utf-8", "replace")


def unrecorded(
    entries: Iterable[TailEntry], recorded: MutableMapping[tuple[str, str], int]
) -> list[TailEntry]:
    """Give the part of the entries that no record holds.

    `recorded` maps (key, stream) to the number of characters that are in the journal; it is
    advanced, so that giving the same entries again yields nothing.
    """
    found = []
    for key, name, offset, text in entries:
        known = recorded.get((key, name), 0)
        end = offset + len(text)
        if end > known:
            found.append(TailEntry(key, name, max(offset, known), text[max(0, known - offset) :]))
            recorded[key, name] = end
    return found


class Tail:
    """The writing side: the file and one `TailStream` for each standard stream."""

    def __init__(self, path: Path, settle: Callable[[], None] = lambda: None) -> None:
        """Create the file; OSError when that is not possible (then there is no tail).

        `settle()` returns when all that was published is in the journal.
        """
        self.path = path
        self.settle = settle
        self.streams: list[TailStream] = []
        self.lock = threading.RLock()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self.handle = lifted(os.open(path, flags, 0o600))
        self._identity = identity(self.handle)
        self.end = self.apart = _START + _CHUNK * sum(_CHUNKS)  # where large texts go
        try:
            # Without blocks of its own a mapped file on a full disk would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.handle, 0, self.end)
            else:
                os.write(self.handle, bytes(self.end))
            os.pwrite(self.handle, _HEADER.pack(MAGIC, _CHUNK, *_CHUNKS), 0)
        except (AttributeError, OSError) as error:
            os.close(self.handle)
            with suppress(OSError):
                path.unlink()
            raise OSError(f"no tail: {error}") from error
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    def stream(
        self, name: str, source: Any, keeps: Callable[[str], bool], echo: Any = None
    ) -> TailStream:
        """Give the part of the tail that `source`, the stream called `name`, writes to.

        `source.parent_header` tells who prints (its `msg_id` is the key of the execution),
        `source.flush()` publishes, and `keeps(key)` tells whether that may be kept at all.
        """
        index = STREAMS.index(name)
        first = _START + _CHUNK * sum(_CHUNKS[:index])
        stream = TailStream(
            self, source, keeps, range(first, first + _CHUNK * _CHUNKS[index], _CHUNK)
        )
        if echo is not None:
            stream.echo_to(echo)
        self.streams.append(stream)
        return stream

    def reconsider(self) -> None:
        """What may be kept has changed: ask again before the next print is kept."""
        for stream in self.streams:
            stream.reconsider()

    def forget(self) -> None:
        """Something printed must not be kept: have all published, then wipe it."""
        for stream in self.streams:
            stream.publish()
        self.settle()
        for stream in self.streams:
            stream.wipe()
        with self.lock:
            self._empty()

    def _empty(self) -> None:
        """Leave nothing behind the chunks."""
        self.check()
        self.apart = self.end
        os.ftruncate(self.handle, self.end)

    def check(self) -> None:
        """OSError when the user closed our descriptor: its number may be that of a file of his."""
        if identity(self.handle) != self._identity:
            raise OSError("the tail was closed")

    def lay_apart(self, data: bytes) -> int:
        """Put a large text behind the chunks; give its place in the file."""
        with self.lock:
            if self.apart > self.end + _MOST_APART:
                for stream in self.streams:
                    stream.publish_apart()
            if self.apart > self.end and all(s.is_apart_published for s in self.streams):
                self.settle()
                self._empty()
            self.check()
            place, self.apart = self.apart, self.apart + len(data)
        left, at = memoryview(data), place
        while left:
            written = os.pwrite(self.handle, left[:_SLICE], at)
            left, at = left[written:], at + written
        return place

    def close(self, *, keep: bool = False) -> None:
        """Remove the tail: all it holds is in the journal. If it is not, `keep` it."""
        self._leave()
        if not keep:
            with suppress(OSError):
                self.path.unlink()

    def _leave(self) -> None:
        """Write no more; in a forked child, whose prints its parent records."""
        for stream in self.streams:
            stream.stop()
        if self.handle >= 0:
            handle, self.handle = self.handle, -1
            if identity(handle) == self._identity:
                with suppress(OSError):
                    os.close(handle)


class TailStream:
    """What ipykernel's stream takes for an echo: `write` and `flush` are called for each print.

    Nothing here raises. The fast path of `write` takes no lock: a chunk that is mapped keeps its
    own position, and writing to it is one call. Where it raises, the slow path has the word.
    """

    def __init__(
        self, tail: Tail, source: Any, keeps: Callable[[str], bool], places: Sequence[int]
    ) -> None:
        self._tail, self._source, self._keeps = tail, source, keeps
        self._who = _who_prints(source)
        self._put: Callable[[bytes], object] = _discard
        self._parent: Any = None  # who the present mark stands for
        self._key = ""
        self._muted = True  # nothing of the present execution may be kept
        self._places = places  # of the chunks in the file
        self._chunks: list[mmap.mmap | None] = [None] * len(places)
        self._chunk: mmap.mmap | None = None
        self._lap = 0
        self._begun = 0  # where the text of the present mark begins
        self._apart = 0  # characters laid apart behind the present mark
        self._printed: dict[str, int] = {}  # characters by key, before the present mark
        self._flushes = 0
        self._ends = [-1] * len(places)  # when each chunk was left, in flushes
        self._left: list[int] = []  # chunks left during the present write
        self._apart_at = -1  # when something was laid apart, in flushes
        self._missed: list[tuple[Any, str]] = []  # printed when there was no room on the stack
        self._stopped = False
        self._lock = threading.RLock()

    def write(self, string: str) -> None:
        """Keep `string` until it is published."""
        try:
            if self._who() is self._parent:
                self._put(string.encode())
                return
        except (ValueError, LookupError, RecursionError):
            pass  # no room, lone surrogates, or a thread of its own
        try:
            self._slowly(string)
        except RecursionError:  # the user's code stands where there is no room for ours
            parent = None
            with suppress(LookupError, RecursionError):
                parent = self._who()
            self._missed.append((parent, string))
            self._parent = None
        except Exception as error:
            if is_interrupt(error):
                raise
            self.stop()

    def flush(self) -> None:
        """A flush begins: what was printed before the one before the last is published."""
        self._flushes += 1

    def echo_to(self, echo: Any) -> None:
        """Hand everything on to the echo that was there before."""
        write, flush = self.write, self.flush

        def write_both(string: str) -> None:
            write(string)
            echo.write(string)

        def flush_both() -> None:
            flush()
            echo.flush()

        # in this object's place of the methods: the usual way stays without a question
        vars(self).update(write=write_both, flush=flush_both)

    def reconsider(self) -> None:
        """Ask again whether the present execution may be kept."""
        with self._lock:
            self._leave_mark()
            self._parent, self._put, self._muted = None, _discard, True

    def stop(self) -> None:
        """Keep nothing any more."""
        self._stopped, self._put = True, _discard

    def publish_apart(self) -> None:
        """Have all published that this stream laid apart."""
        if self._apart_at >= 0:
            self._publish(self._apart_at)

    def publish(self) -> None:
        """Have all published that was printed."""
        self._publish(self._flushes)

    def wipe(self) -> None:
        """Leave nothing of what was printed."""
        with self._lock:
            self.reconsider()
            self._chunk, self._apart_at = None, -1
            for chunk in self._chunks:
                if chunk is not None:
                    chunk[:] = bytes(_CHUNK)

    @property
    def is_apart_published(self) -> bool:
        """Tell whether all that this stream laid apart is published."""
        return self._apart_at < 0 or self._flushes - self._apart_at >= 3

    def _slowly(self, string: str) -> None:
        if self._tail.handle < 0:  # a forked child: another thread of its parent may hold the lock
            return
        parent = self._source.parent_header
        with self._lock:
            while self._missed and not self._stopped:
                missed = self._missed[0]
                self._put_down(missed[0] or parent, missed[1])
                del self._missed[0]
            if self._stopped:
                return
            self._put_down(parent, string)
            # Only now the stream gets this very text: a flush meanwhile did not take it along.
            for index in self._left:
                self._ends[index] = self._flushes
            self._left.clear()

    def _put_down(self, parent: Any, string: str) -> None:
        if parent is not self._parent:
            self._turn_to(parent)
        if self._muted:
            return
        if len(string) > _LARGE:
            self._lay_apart(string)
        else:
            for at in range(0, len(string), _PIECE):
                self._keep(string[at : at + _PIECE].encode("utf-8", "surrogatepass"))

    def _turn_to(self, parent: Any) -> None:
        """Another execution prints from here on."""
        self._leave_mark()
        self._parent, self._put = None, _discard
        self._key = str(parent.get("msg_id") or "")
        self._muted = not (self._key and self._keeps(self._key))
        if not self._muted:
            self._mark()
        self._parent = parent

    def _keep(self, data: bytes) -> None:
        """Write where there is room, in the next chunk if need be."""
        if self._chunk is None or self._chunk.tell() + len(data) > _CHUNK:
            self._next_chunk()
        assert self._chunk is not None
        self._chunk.write(data)

    def _mark(self) -> None:
        """Begin the text of the present execution."""
        key = self._key.encode("utf-8", "surrogatepass")[:1000]
        mark = _MARK.pack(_BEGIN, len(key), self._printed.get(self._key, 0)) + key
        if self._chunk is None or self._chunk.tell() + len(mark) > _CHUNK:
            self._next_chunk()  # begins with the mark
            return
        # First: an interrupt after the mark must not leave it to be counted as text.
        self._begun, self._apart = self._chunk.tell() + len(mark), 0
        self._chunk.write(mark)
        self._put = self._chunk.write

    def _leave_mark(self) -> None:
        """Book the characters printed behind the present mark."""
        if self._muted or self._chunk is None:
            return
        text = self._chunk[self._begun : self._chunk.tell()]
        # Nearly always plain: decoding it would be most of what leaving a chunk costs.
        count = len(text) if text.isascii() else sum(map(_characters, _texts(text)))
        self._printed[self._key] = self._printed.get(self._key, 0) + self._apart + count
        self._begun, self._apart = self._chunk.tell(), 0

    def _next_chunk(self) -> None:
        """Take the next chunk, once all it held is published, and begin it with a mark."""
        self._leave_mark()
        if self._lap:
            self._left.append((self._lap - 1) % len(self._places))
        index = self._lap % len(self._places)
        if self._ends[index] >= 0:
            self._publish(self._ends[index])
            self._tail.settle()
        chunk = self._chunks[index]
        if chunk is None:
            place = self._places[index]
            self._tail.check()
            chunk = self._chunks[index] = mmap.mmap(self._tail.handle, _CHUNK, offset=place)
        self._lap += 1
        chunk[:] = b"\xff" * _CHUNK
        chunk.seek(0)
        chunk.write(_LAP.pack(self._lap))
        self._chunk = chunk
        self._begun = chunk.tell()
        self._mark()

    def _publish(self, since: int) -> None:
        """Have all published that was printed before flush number `since` ended.

        That is so when three flushes began after it: the first may just miss a print that is
        under way in another thread, the second takes it along, the third comes after the second.
        """
        for _ in range(3):
            if self._flushes - since >= 3:
                break
            self._source.flush()

    def _lay_apart(self, string: str) -> None:
        """Put a large text behind the chunks, and a mark that points to it."""
        data = string.encode("utf-8", "surrogatepass")
        try:
            place = self._tail.lay_apart(data)
        except OSError:  # the disk is full; what is printed next has its place in the chunks
            self._apart += len(string)
            self._leave_mark()
            self._mark()
            return
        self._keep(_AWAY.pack(_APART, place, len(data), len(string)))
        self._apart += len(string)
        self._apart_at = self._flushes


def _discard(_: bytes) -> None:
    """Keep nothing."""


def _who_prints(source: Any) -> Callable[[], Any]:
    """Give the cheapest way to ask who prints; LookupError means: ask the stream itself."""
    variable = getattr(source, "_parent_header", None)
    if isinstance(variable, ContextVar):
        return variable.get
    return lambda: source.parent_header


def _characters(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogatepass"))


def _texts(data: bytes) -> Iterable[bytes]:
    """Give the text between the marks that point apart."""
    at = 0
    while (found := data.find(_APART, at)) >= 0:
        yield data[at:found]
        at = found + _AWAY.size
    yield data[at:]
