"""A stat cache: the digests of files that have not changed since they were hashed.

One file a folder tree, in the spool; standard library only, kernels use it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from pathlib import Path

_VERSION = 1
# A file changed twice within one tick of its file system's clock looks unchanged (git calls it
# racy): what was touched less than this before it was hashed is hashed again.
_RACY_NS = 2_000_000_000


class StatCache:
    """Digests of the files below `root`, kept in `folder` (the spool's) by `save`.

    A file counts as unchanged while size, mtime_ns, ctime_ns, inode and mode are the same.
    """

    def __init__(self, folder: str | os.PathLike[str], root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(root)
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        self._file = Path(folder) / "stat" / f"{name}.json"
        self._known = self._load()
        self._seen: dict[str, list[int | str]] = {}

    def get(self, path: str, status: os.stat_result) -> str | None:
        """Give the digest of `path` (relative) when it is unchanged since `note`."""
        row = self._known.get(path)
        if row is None or row[:5] != _marks(status):
            return None
        self._seen[path] = row
        return str(row[5])

    def note(self, path: str, status: os.stat_result, digest: str) -> None:
        """Remember the digest of `path` as it was when `status` was taken, before its hashing."""
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY_NS:
            self._seen[path] = [*_marks(status), digest]

    def save(self) -> None:
        """Write what was seen since this cache was made; files that were not seen drop out.

        A cache that cannot be written costs time and nothing else: errors pass in silence.
        """
        if self._seen == self._known:
            return
        data = json.dumps([_VERSION, self.root, self._seen], separators=(",", ":"))
        mark = f"{os.getpid()}-{secrets.token_hex(8)}"
        part = self._file.with_name(f"{self._file.stem}.{mark}.part")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as sink:
                sink.write(data)
            os.replace(part, self._file)
        except OSError:
            part.unlink(missing_ok=True)
            return
        self._known = dict(self._seen)

    def _load(self) -> dict[str, list[int | str]]:
        try:
            version, root, known = json.loads(self._file.read_bytes())
        except (OSError, ValueError, TypeError):
            return {}
        return known if version == _VERSION and root == self.root else {}


def _marks(status: os.stat_result) -> list[int | str]:
    return [
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_mode,
    ]
