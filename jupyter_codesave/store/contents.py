"""Bytes by digest: cut, compressed, packed on the way in; joined and verified on the way out.

Small blobs wait in memory until `flush` writes them as one pack; `get` sees them meanwhile. A
blob's row is touched before its bytes are counted on, and garbage collection removes only what is
untouched, row and bytes in one transaction: what was found to be there stays.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from ..blobs import envelope, packs
from ..blobs.base import Blobs
from ..blobs.local import LocalBlobs, unwritable
from ..blobs.payloads import SMALLEST, Payload, cut, cut_stream
from ..catalog import whereabouts
from ..catalog.catalog import Catalog
from ..catalog.rows import Whereabouts
from ..catalog.whereabouts import Placed
from ..errors import DamagedError, NotFoundError
from ..model.digest import digest_of
from .streams import Hashing, Verified, incoming, is_text, verified

WHOLE = 16 << 20  # files up to this are read at once, larger ones stream
ALONE = 1 << 20  # envelopes from this on are blobs of their own, smaller ones go into packs
_PENDING = 16 << 20  # bytes that wait in memory
_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Contents:
    """What a store holds, whatever it is, under the digest of its bytes."""

    def __init__(self, blobs: Blobs, catalog: Catalog, folder: Path) -> None:
        self.loose = blobs.area("content")
        self.packs = blobs.area("packs")
        self.records = blobs.area("records")
        self.catalog = catalog
        # Looks where other hosts, each with a catalog of its own, have put blobs; None: no others.
        self.find_again: Callable[[], object] | None = None
        self._folder = folder
        self._lock = threading.RLock()
        self._pending: dict[str, list[envelope.Step]] = {}
        self._waiting = 0

    # -- in -------------------------------------------------------------------------------------

    def put(self, data: bytes) -> str:
        """Keep `data` and give its digest; it is durable after `flush`."""
        digest = digest_of(data)
        with self._lock:
            if digest not in self._pending:
                self._wait(digest, self._steps([data] if len(data) < SMALLEST else cut(data)))
        return digest

    def put_file(self, path: str | os.PathLike[str]) -> tuple[str, int]:
        """Keep a file's bytes in bounded memory; give their digest and number."""
        with open(path, "rb") as source:
            size = os.fstat(source.fileno()).st_size
            if size <= WHOLE:
                data = source.read(WHOLE + 1)
                if len(data) <= WHOLE:
                    return self.put(data), len(data)
                source.seek(0)
            if is_text(source, size):
                return self._put_stream(source)
        while True:
            digest, size = self.loose.put_file(path)
            if self.settle(digest, size, size):
                return digest, size

    def put_compressed(self, path: Path) -> tuple[str, int]:
        """Keep a file with its payloads cut and the rest compressed, whatever its size."""
        with path.open("rb") as source:
            return self._put_stream(source)

    def put_record(self, data: bytes) -> str:
        """Keep a record, durable at once, in the area that rebuild reads."""
        digest = digest_of(data)
        self.records.replace(envelope.compressed(data), digest)
        return digest

    def drop_records(self, digests: Iterable[str | None]) -> None:
        """Remove records that others have taken the place of."""
        for digest in digests:
            if digest:
                self.records.delete(digest)

    def flush(self) -> None:
        """Write what waits: durable when this returns."""
        with self._lock:
            if not self._pending:
                return
            there = self.touch(self._pending)
            fresh = {d: steps for d, steps in self._pending.items() if d not in there}
            self._write(fresh)
            self._pending.clear()
            self._waiting = 0

    def _steps(self, pieces: Iterable[bytes | Payload]) -> list[envelope.Step]:
        """Keep the payloads among pieces; give the recipe that names them."""
        steps: list[envelope.Step] = []
        for piece in pieces:
            if isinstance(piece, bytes):
                steps.append(piece)
                continue
            digest = digest_of(piece.data)
            with self._lock:
                if digest not in self._pending:
                    self._wait(digest, [piece.data])
            steps.append((piece.spelling, digest, len(piece.data)))
        return steps

    def _wait(self, digest: str, steps: list[envelope.Step]) -> None:
        self._pending[digest] = steps
        self._waiting += sum(len(step) for step in steps if isinstance(step, bytes))
        if self._waiting > _PENDING:
            self.flush()

    def _write(self, fresh: dict[str, list[envelope.Step]]) -> None:
        members: list[tuple[str, bytes, int]] = []
        alone: list[Placed] = []
        leaning: list[tuple[str, str]] = []
        laid_out = _lay_out(fresh)
        for digest, (laid, size) in laid_out.items():
            leaning += [(digest, step[1]) for step in fresh[digest] if not isinstance(step, bytes)]
            if len(laid) < ALONE:
                members.append((digest, laid, size))
            else:
                self.loose.replace(laid, digest)
                alone.append(Placed(digest, size, len(laid)))
        written = []
        for data, index in packs.pack(members):
            key = digest_of(data)
            self.packs.replace(data, key)
            written.append((key, data, index))
        with self.catalog.write() as tx:
            tx.keep_blobs()
            whereabouts.placed(tx, alone)
            whereabouts.lean(tx, leaning)
            for key, data, index in written:
                rows = [Placed(each.digest, each.size, each.length, each.offset) for each in index]
                whereabouts.add_pack(tx, key, len(data), rows)
        # What had no row until now may have been taken for an orphan: then write it again.
        for key, data, _ in written:
            if not self.packs.has(key):
                self.packs.replace(data, key)
        for placed in alone:
            if not self.loose.has(placed.digest):
                self.loose.replace(laid_out[placed.digest][0], placed.digest)

    def _put_stream(self, source: BinaryIO) -> tuple[str, int]:
        """Lay a stream out as a recipe, through a file of ours that is gone afterwards."""
        hashing = Hashing(source)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=incoming()) as sink:
            leaning: list[str] = []

            def steps() -> Iterator[envelope.Step]:
                for piece in cut_stream(cast(BinaryIO, hashing)):
                    for step in self._steps([piece]):
                        if not isinstance(step, bytes):
                            leaning.append(step[1])
                        yield step

            try:
                envelope.write_recipe(steps(), sink)
                sink.flush()
            except OSError as error:
                if error.errno not in _FULL:
                    raise  # the source cannot be read
                raise unwritable(self._folder, error) from error
            digest, size = hashing.digest(), hashing.size
            self.flush()
            stored = sink.tell()
            while True:
                self.loose.put_file(sink.name, digest)
                if self.settle(digest, size, stored, leaning):
                    return digest, size

    def settle(self, digest: str, size: int, stored: int, leaning: Iterable[str] = ()) -> bool:
        """Note a blob that was just written by itself; False when gc took it: write it again."""
        with self.catalog.write() as tx:
            tx.keep_blobs()
            if not whereabouts.touch(tx, [digest], time.time()):
                whereabouts.placed(tx, [Placed(digest, size, stored)])
                whereabouts.lean(tx, [(digest, part) for part in leaning])
            packed = whereabouts.locate(tx, [digest])[digest].pack is not None
        return packed or self.loose.has(digest)

    # -- out ------------------------------------------------------------------------------------

    def get(self, digest: str) -> bytes:
        """Give the bytes, verified; NotFoundError or DamagedError."""
        steps = self._pending.get(digest)
        if steps is not None:
            return b"".join(
                step if isinstance(step, bytes) else envelope.spell(step, self.get(step[1]))
                for step in steps
            )
        steps = envelope.steps(self.envelopes([digest])[digest])
        # Payloads are not verified one by one: the whole is.
        payloads = self.envelopes({step[1] for step in steps if not isinstance(step, bytes)})
        data = b"".join(
            step
            if isinstance(step, bytes)
            else envelope.spell(step, envelope.decode(payloads[step[1]], self.read_any))
            for step in steps
        )
        return verified(digest, data)

    def outline(self, digest: str) -> bytes:
        """Give the bytes without their large base64 payloads: what is text in a notebook."""
        steps = self._pending.get(digest)
        if steps is None:
            steps = envelope.steps(self.envelopes([digest])[digest])
        return b"".join(step for step in steps if isinstance(step, bytes))

    def open(self, digest: str, *, checked: bool = True) -> BinaryIO:
        """Open the bytes for reading in bounded memory; DamagedError before any wrong one is given.

        To that end all are read and hashed first, unless not `checked`: then DamagedError comes at
        their end at the latest.
        """
        if digest in self._pending:
            return io.BytesIO(self.get(digest))
        where = self.where([digest])[digest]
        if where.pack is not None:
            return io.BytesIO(self.get(digest))
        if checked:
            with self._stream(digest) as ahead:
                while ahead.read(_CHUNK):
                    pass
        return self._stream(digest)

    def _stream(self, digest: str) -> BinaryIO:
        source = self.loose.open(digest)
        return cast(BinaryIO, io.BufferedReader(Verified(digest, source, self.get), _CHUNK))

    def awaited(self, digests: Iterable[str]) -> set[str]:
        """Name those of `digests` that wait to be written."""
        with self._lock:
            return set(digests) & self._pending.keys()

    def touch(self, digests: Iterable[str]) -> set[str]:
        """Keep the collector from blobs for a while; name those whose bytes are there."""
        with self.catalog.write() as tx:
            tx.keep_blobs()
            there = whereabouts.touch(tx, digests, time.time())
            if self.find_again is not None:
                places = whereabouts.locate(tx, there).values()
                gone = {where.digest for where in places if not self._is_held(where)}
                whereabouts.lost(tx, gone)
                there -= gone
        return there

    def _is_held(self, where: Whereabouts) -> bool:
        """Tell whether bytes are there yet, and let other hosts' collectors see them wanted."""
        area, key = (self.packs, where.pack) if where.pack else (self.loose, where.digest)
        return area.touch(key) if isinstance(area, LocalBlobs) else area.has(key)

    def has(self, digest: str) -> bool:
        """Tell whether the bytes are there."""
        if digest in self._pending:
            return True
        with self.catalog.read() as tx:
            return bool(whereabouts.known(tx, [digest]))

    def where(self, digests: Iterable[str]) -> dict[str, Whereabouts]:
        """Tell where blobs lie; NotFoundError names one that is not there."""
        wanted = set(digests)
        with self.catalog.read() as tx:
            found = whereabouts.locate(tx, wanted)
        for digest in wanted - found.keys():
            raise NotFoundError(
                f"the blob {digest} is not in the store; `jupyter codesave verify` tells what is "
                "missing"
            )
        return found

    def envelopes(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Give blobs as they are laid out; NotFoundError names one that is not there."""
        wanted = set(digests)
        if not wanted:
            return {}
        # Garbage collection may move a blob to another pack between looking up and reading.
        for attempt in range(3):
            places = self.where(wanted)
            try:
                return {digest: self.read(where) for digest, where in places.items()}
            except NotFoundError:
                if attempt == 2:
                    raise
                if attempt == 1 and self.find_again is not None:
                    self.find_again()
        raise AssertionError("unreachable")

    def read(self, where: Whereabouts) -> bytes:
        """Give a blob as it is laid out at a place."""
        if where.pack is None:
            return self.loose.get(where.digest)
        try:
            return self.packs.part(where.pack, where.place or 0, where.stored)
        except (OSError, OverflowError, MemoryError, ValueError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            raise DamagedError(
                f"{where.digest} cannot lie at {where.place!r} in the pack {where.pack}, as the "
                "catalog says: run `jupyter codesave verify`"
            ) from error

    def read_any(self, digest: str) -> bytes:
        """Give the bytes as they are found, not verified: whoever joins them verifies the whole."""
        return envelope.decode(self.envelopes([digest])[digest], self.read_any)

    def verified(self, digest: str, laid_out: bytes) -> bytes:
        """Decode a blob as it is laid out; DamagedError when it is not what was stored."""
        return verified(digest, envelope.decode(laid_out, self.get))


def _lay_out(fresh: Mapping[str, list[envelope.Step]]) -> dict[str, tuple[bytes, int]]:
    """Lay out blobs; give each one's envelope and the size of what it decodes to."""
    laid_out = {}
    for digest, steps in fresh.items():
        first = steps[0]
        if len(steps) == 1 and isinstance(first, bytes):
            laid_out[digest] = envelope.compressed(first), len(first)
        else:
            laid_out[digest] = envelope.recipe(steps), envelope.size_of(steps)
    return laid_out
