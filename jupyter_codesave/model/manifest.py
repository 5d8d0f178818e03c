"""Manifests: sorted relative paths with digest, size and mode, in one canonical form."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import DamagedError, UsageError
from .digest import digest_of, is_digest

FILE, EXECUTABLE, SYMLINK = "100644", "100755", "120000"
MODES = (FILE, EXECUTABLE, SYMLINK)  # git's words; a symlink's blob holds its target
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\0-\x1f]")
# An encoder that is made once: json.dumps with options makes one a call.
_spell = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


def check_path(path: str) -> str:
    """Give `path` back when it is a relative POSIX path that is safe to restore anywhere.

    Raises UsageError for an empty or absolute path, `.` and `..`, a backslash, a NUL or other
    control character, a drive letter, a name that Windows reserves, and names over 255 bytes.
    Bytes that are not UTF-8 are carried as surrogate escapes.
    """

    def refuse(reason: str) -> UsageError:
        return UsageError(f"the path {path!r} cannot be stored: {reason}; rename the file")

    if not path or path.startswith("/") or _DRIVE.match(path):
        raise refuse("it is not relative")
    if "\\" in path:
        raise refuse("it holds a backslash")
    if _CONTROL.search(path):
        raise refuse("it holds a control character")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise refuse(f"{part!r} is no name of a file")
        if _RESERVED.fullmatch(part) or part.endswith((" ", ".")):
            raise refuse(f"Windows cannot hold the name {part!r}")
        if len(part.encode("utf-8", "surrogateescape")) > 255:
            raise refuse("a name in it is longer than 255 bytes")
    return path


@dataclass(frozen=True)
class Entry:
    """One file of a manifest: the digest of its bytes, their number, and git's mode."""

    digest: str
    size: int
    mode: str = FILE


@dataclass(frozen=True)
class Manifest:
    """The files of a version: `entries` maps each relative POSIX path to its entry."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in self.entries:
            check_path(path)

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return iter(sorted(self.entries.items(), key=lambda item: _order(item[0])))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> int:
        """The bytes of all files together, before any compression."""
        return sum(entry.size for entry in self.entries.values())

    @property
    def digest(self) -> str:
        """The digest of the canonical form; equal for equal files, whatever made them."""
        return digest_of(self.dump())

    def dump(self) -> bytes:
        """Give the canonical form: one JSON line a file, sorted by the paths' UTF-8 bytes."""
        lines = [
            _spell({"path": path, "digest": entry.digest, "size": entry.size, "mode": entry.mode})
            for path, entry in self
        ]
        return ("\n".join(lines) + "\n" if lines else "").encode("ascii")

    @classmethod
    def load(cls, data: bytes) -> Manifest:
        """Read the canonical form back; DamagedError when it is anything else."""
        entries: dict[str, Entry] = {}
        try:
            for line in data.splitlines():
                row = json.loads(line)
                path, entry = row["path"], Entry(row["digest"], row["size"], row["mode"])
                plausible = is_digest(entry.digest) and entry.mode in MODES
                if path in entries or not plausible or not isinstance(entry.size, int):
                    raise ValueError(path)
                entries[path] = entry
            return cls(entries)
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise DamagedError(
                f"a manifest is not in canonical form ({error}); run `jupyter codesave verify`"
            ) from error


def collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Name the pairs of paths that a file system without case or with NFC would fold into one."""
    seen: dict[str, str] = {}
    found = []
    for path in paths:
        other = seen.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            found.append((other, path))
    return found


def _order(path: str) -> bytes:
    return path.encode("utf-8", "surrogatepass")
