"""From a kernel's spool into the store: moved where that can be, packs as they are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import cast

from ..blobs import packs
from ..blobs.local import LocalBlobs
from ..catalog import whereabouts
from ..catalog.whereabouts import Placed
from ..errors import DamagedError
from ..model.digest import digest_of, digest_stream
from .contents import WHOLE, Contents
from .streams import is_text


def adopt(contents: Contents, spool: LocalBlobs, digests: Iterable[str]) -> list[str]:
    """Take what a spool holds of `digests`; name what is neither there nor in the store.

    What is taken, or was in the store already, leaves the spool.
    """
    wanted = set(digests)
    with contents.catalog.write() as tx:
        tx.keep_blobs()
        there = whereabouts.touch(tx, wanted, time.time())
    there |= contents.awaited(wanted)
    for key in [each.key for each in spool.area("packs").listing()]:
        _adopt_pack(contents, spool.area("packs"), key, wanted, there)
    for key in [each.key for each in spool.listing() if each.key in wanted]:
        if key in there or _adopt_one(contents, spool, key):
            there.add(key)
    contents.flush()
    for key in [each.key for each in spool.listing() if each.key in there]:
        spool.delete(key)
    return sorted(wanted - there)


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
        with contents.catalog.write() as tx:
            known = there | whereabouts.touch(tx, names - there, time.time())
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
