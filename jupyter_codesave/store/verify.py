"""Verify: every stored byte read and hashed, every name followed, and mended where it can be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..blobs import envelope, packs
from ..blobs.local import LocalBlobs
from ..catalog import checking, journals, runs, versions, whereabouts
from ..catalog.rows import Whereabouts
from ..errors import CodeSaveError, DamagedError, NotFoundError
from ..model.digest import digest_of
from . import agreement, reach
from .garbage import rewrite
from .healing import Healing

if TYPE_CHECKING:
    from .store import Progress, Store

_MOST = 3  # differences of the catalog are told
Heal = Callable[[str], "bytes | None"]


def verify(store: Store, progress: Progress = iter, heal: Heal | None = None) -> dict[str, Any]:
    """Tell what is damaged or missing, after mending what another copy could mend.

    Gives the numbers of `blobs`, `versions` and sealed `journals` looked at, and the lists
    `damaged` and `missing` (what was not mended) and `repaired`; each names a digest and what
    leads to it. Bytes found damaged are set aside (`blobs/damaged`) and never served. Of a catalog
    that is damaged nothing more is told: on its word nothing is mended.
    """
    store.flush()
    result: dict[str, Any] = dict.fromkeys(("blobs", "versions", "journals"), 0)
    wrong: list[str] = []
    mended: list[str] = []
    try:
        if not (faults := _check_catalog(store)):
            wrong, mended = agreement.check(store)
    except DamagedError as error:
        faults = [str(error)]
    if faults:
        return {**result, "damaged": faults, "missing": [], "repaired": []}
    contents = store.contents
    with store.catalog.read() as tx:
        places, sizes = list(whereabouts.every(tx)), whereabouts.packs(tx)
        manifests = versions.manifests(tx)
        saved = runs.saved_by(tx)
        sealed = {row["session"]: row["digest"] for row in journals.every(tx) if row["digest"]}
    bad: dict[str, str] = {}  # digest → damaged or missing
    bad_packs: set[str] = set()
    for digest, state in _check_blobs(store, places, sizes, bad_packs, progress):
        if state == "misplaced":
            wrong.append(f"where {digest} lies, or how large it is")
        else:
            bad[digest] = state
    there = {each.digest for each in places}
    owners: dict[str, str] = {}
    named = [*manifests, *((f"the saved files of run {run}", digest) for run, digest in saved)]
    by_digest: dict[str, str] = {}
    for owner, digest in named:
        by_digest.setdefault(digest, owner)
        owners.setdefault(digest, owner)
    wanted = set(by_digest) - bad.keys()
    for digest, manifest in reach.read_manifests(contents, wanted & there):
        if manifest is None:
            bad.setdefault(digest, "damaged")
            continue
        for path, entry in manifest.entries.items():
            owners.setdefault(entry.digest, f"{by_digest[digest]} {path}")
    for session, digest in sealed.items():
        owners.setdefault(digest, f"the journal of session {session}")
    for digest in owners.keys() - there:
        bad[digest] = "missing"
    with store.catalog.read() as tx:
        for whole, parts in whereabouts.leanings(tx).items():
            for part in parts:
                if whole in there:
                    owners.setdefault(part, f"part of {owners.get(whole, whole)}")
                    if part not in there:
                        bad.setdefault(part, "missing")
    repaired = _repair(store, bad, owners, heal)
    mended += _mend_packs(store, bad_packs)
    result |= {"blobs": len(places), "versions": len(manifests), "journals": len(sealed)}
    for state in ("damaged", "missing"):
        result[state] = sorted(
            _named(digest, owners)
            for digest, found in bad.items()
            if found == state and digest not in repaired
        )
    result["damaged"] += [_made_anew(store, f"it is wrong about {what}") for what in wrong[:_MOST]]
    result["repaired"] = sorted([*(_named(digest, owners) for digest in repaired), *mended])
    return result


def _check_blobs(
    store: Store,
    places: list[Whereabouts],
    sizes: Mapping[str, int],
    bad_packs: set[str],
    progress: Progress,
) -> Iterator[tuple[str, str]]:
    """Read and hash every blob; give those that are not right, and how. Gather damaged packs.

    `misplaced` are those that are right, but not what the catalog says of them.
    """
    contents = store.contents
    pack = ""
    data: bytes | None = b""
    index: dict[str, packs.Member] = {}
    payloads = _Recent(contents.read_any)
    for where in progress(places):
        try:
            if where.pack is None:
                found = _measure_loose(store, where, payloads)
            else:
                if where.pack != pack:
                    pack, data, index = where.pack, None, {}
                    data = contents.packs.get(pack)
                    if digest_of(data) != pack:
                        bad_packs.add(pack)
                    else:
                        index = {each.digest: each for each in packs.members(data)}
                        if len(data) != sizes.get(pack, len(data)):
                            yield pack, "misplaced"
                if data is None:
                    raise NotFoundError(pack)
                laid_out = data[where.place or 0 : (where.place or 0) + where.stored]
                decoded = envelope.decode(laid_out, payloads)
                found = Whereabouts(digest_of(decoded), len(decoded), *where[2:])
                if (member := index.get(found.digest)) is not None:
                    found = found._replace(stored=member.length, place=member.offset)
            if found.digest != where.digest:
                yield where.digest, "damaged"
            elif found != where and _is_still(store, where):
                yield where.digest, "misplaced"
        except NotFoundError:
            if _is_still(store, where):
                yield where.digest, "missing"
        except CodeSaveError:
            yield where.digest, "damaged"


def _is_still(store: Store, where: Whereabouts) -> bool:
    """Tell whether a blob lies where it did when verify began, as far as the catalog knows."""
    with store.catalog.read() as tx:
        return whereabouts.locate(tx, [where.digest]).get(where.digest) == where


def _measure_loose(
    store: Store, where: Whereabouts, payloads: Callable[[str], bytes]
) -> Whereabouts:
    """Say of a blob of its own what is found of it."""
    sha, size = hashlib.sha256(), 0
    with store.contents.loose.open(where.digest) as opened:
        source = _Counted(opened)
        for piece in envelope.decode_stream(cast(BinaryIO, source), payloads):
            sha.update(piece)
            size += len(piece)
        while source.read(1 << 20):
            pass
    return Whereabouts("sha256:" + sha.hexdigest(), size, source.count, None, None)


class _Counted:
    """A stream that counts what is read: not every one can tell its size."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.count += len(data)
        return data


class _Recent:
    """The payloads read last: versions of one notebook share them."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._kept: dict[str, bytes] = {}
        self._size = 0

    def __call__(self, digest: str) -> bytes:
        if digest not in self._kept:
            data = self._read(digest)
            self._size += len(data)
            if self._size > 32 << 20:
                self._kept.clear()
                self._size = len(data)
            self._kept[digest] = data
        return self._kept[digest]


def _repair(
    store: Store, bad: dict[str, str], owners: dict[str, str], heal: Heal | None
) -> set[str]:
    """Put bad blobs anew where another copy is; set aside what is damaged."""
    if not bad:
        return set()
    contents = store.contents
    healing = Healing(store)
    cures: dict[str, bytes] = {}
    for digest in bad:
        data = healing.copy(digest)
        if data is None and heal is not None:
            data = heal(digest)
        if data is not None and digest_of(data) == digest:
            cures[digest] = data
    for digest, state in bad.items():
        loose = contents.loose
        if state == "damaged" and isinstance(loose, LocalBlobs) and loose.has(digest):
            LocalBlobs(loose.folder.parent / "damaged").move(loose.path(digest), digest)
    with store.catalog.write() as tx:
        whereabouts.lost(tx, bad)
    for data in cures.values():
        contents.put(data)
    contents.flush()
    # What was made of parts can be made again only once the parts are there.
    for digest in bad.keys() - cures.keys():
        data = healing.derive(digest)
        if data is not None:
            contents.put(data)
            cures[digest] = data
    contents.flush()
    return set(cures)


def _mend_packs(store: Store, bad_packs: set[str]) -> list[str]:
    """Move what is whole out of damaged packs: their index could not be read again."""
    contents = store.contents
    for key in sorted(bad_packs):
        rewrite(store, key)
        if isinstance(contents.packs, LocalBlobs) and contents.packs.has(key):
            aside = LocalBlobs(contents.packs.folder.parent / "damaged")
            aside.move(contents.packs.path(key), key)
    return [f"{key} (a pack)" for key in sorted(bad_packs)]


def _check_catalog(store: Store) -> list[str]:
    """Say what is wrong with the catalog itself."""
    with store.catalog.read() as tx:
        found = list(islice(checking.faults(tx), 3))
    if not found:
        with store.catalog.write() as tx:
            found = list(checking.index_faults(tx))
    return [_made_anew(store, fault) for fault in found]


def _made_anew(store: Store, fault: str) -> str:
    """Say what to do about a catalog that is damaged: blobs and records have all that it says."""
    way_out = "move it away and run `jupyter codesave rebuild`"
    return f"the catalog {store.catalog.name} ({fault}); {way_out}"


def _named(digest: str, owners: dict[str, str]) -> str:
    return f"{digest} ({owners[digest]})" if digest in owners else digest
