"""From a kernel's spool into the store: moved where that can be, packs as they are."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from ..blobs import envelope, packs
from ..blobs.local import LocalBlobs
from ..catalog import whereabouts
from ..catalog.whereabouts import Placed
from ..errors import DamagedError, NotFoundError
from ..journal.events import SUFFIX
from ..model.digest import digest_of, digest_stream
from .contents import WHOLE, Contents
from .streams import is_text, verified

_NAMED = re.compile(rb"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20


def adopt(contents: Contents, spool: LocalBlobs, digests: Iterable[str]) -> list[str]:
    """Take what a spool holds of `digests`; name what is neither there nor in the store.

    What is taken, or was in the store already, leaves the spool.
    """
    wanted = set(digests)
    there = contents.touch(wanted) | contents.awaited(wanted)
    for key in [each.key for each in spool.area("packs").listing()]:
        _adopt_pack(contents, spool.area("packs"), key, wanted, there)
    loose = [each.key for each in spool.listing() if each.key in wanted]
    for key in loose:
        if key in there or _adopt_one(contents, spool, key):
            there.add(key)
    contents.flush()
    for key in loose:
        spool.delete(key)
    if wanted - there:
        _distrust(spool)
    return sorted(wanted - there)


def get(contents: Contents, spool: LocalBlobs, digest: str) -> bytes:
    """Give bytes that are in a spool, or in the store already; NotFoundError when in neither."""
    if spool.has(digest):
        return verified(digest, spool.get(digest))
    area = spool.area("packs")
    for kept in area.listing():
        try:
            members = packs.read_members(area, kept.key, kept.size)
        except (DamagedError, NotFoundError):
            continue  # adopted meanwhile
        for each in members:
            if each.digest == digest:
                laid_out = area.part(kept.key, each.offset, each.length)
                return verified(digest, envelope.decode(laid_out, contents.get))
    return contents.get(digest)


def clear(
    folder: Path, doomed: set[str], *, older_than: float = 0, leaving: Path | None = None
) -> None:
    """Remove what is `doomed`, and what is older than `older_than`, from a data folder's spool.

    What a journal names stays, but for the one that is `leaving`: its session has yet to be
    brought in.
    """
    spool = LocalBlobs(folder / "spool")
    candidates = [
        each for each in spool.listing() if each.key in doomed or each.modified < older_than
    ]
    area = spool.area("packs")
    packed = list(area.listing())
    if not candidates and not packed:
        return
    kept = waiting(folder, leaving)
    _distrust(spool)
    for each in candidates:
        if each.key not in kept:
            spool.delete(each.key)
    for each in packed:
        try:
            names = {member.digest for member in packs.read_members(area, each.key, each.size)}
        except (DamagedError, NotFoundError):
            names = set()
        goes = (names and names <= doomed) or each.modified < older_than
        if goes and not names & kept:
            area.delete(each.key)


def waiting(folder: Path, leaving: Path | None = None) -> set[str]:
    """Name what a data folder's journals mention, but the one that is `leaving`."""
    journals = [path for path in (folder / "journal").glob("*" + SUFFIX) if path != leaving]
    return {digest for path in journals for digest in _named_by(path)}


def _distrust(spool: LocalBlobs) -> None:
    """Let log_code read every file again: what its stat cache takes for stored may be gone."""
    shutil.rmtree(spool.folder / "stat", ignore_errors=True)


def named_in(journal: BinaryIO) -> set[str]:
    """Name every digest that a journal mentions."""
    found: set[str] = set()
    held = b""
    while chunk := journal.read(_CHUNK):
        window = held + chunk
        found.update(digest.decode() for digest in _NAMED.findall(window))
        held = window[-70:]
    return found


def _named_by(path: Path) -> set[str]:
    try:
        with path.open("rb") as journal:
            return named_in(journal)
    except FileNotFoundError:
        return set()  # sealed meanwhile: what it names was taken


def _adopt_pack(
    contents: Contents, spool: LocalBlobs, key: str, wanted: set[str], there: set[str]
) -> None:
    path = spool.path(key)
    try:
        data = path.read_bytes()
        members = packs.members(data) if digest_of(data) == key else []
    except (DamagedError, FileNotFoundError):
        members = []
    names = {each.digest for each in members}
    if names and not names & wanted:
        return
    if names - there:
        known = there | contents.touch(names - there)
        if isinstance(contents.packs, LocalBlobs):
            contents.packs.move(path, key)
        else:
            contents.packs.put(data, key)
        rows = [
            Placed(each.digest, each.size, each.length, each.offset)
            for each in members
            if each.digest not in known
        ]
        with contents.catalog.write() as tx:
            tx.keep_blobs()
            whereabouts.add_pack(tx, key, len(data), rows)
        if not contents.packs.has(key):  # taken for an orphan while it had no row
            contents.packs.replace(data, key)
    there |= names & wanted
    path.unlink(missing_ok=True)


def _adopt_one(contents: Contents, spool: LocalBlobs, key: str) -> bool:
    path = spool.path(key)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            large = isinstance(contents.loose, LocalBlobs) and size > WHOLE
            as_it_is = large and not is_text(file, size)
            if as_it_is and digest_stream(file)[0] != key:
                spool.delete(key)
                return False
    except FileNotFoundError:
        return False
    if as_it_is:
        cast(LocalBlobs, contents.loose).move(path, key)
        return contents.settle(key, size, size)
    found, _ = contents.put_file(path)
    if found != key:
        spool.delete(key)
    return found == key
