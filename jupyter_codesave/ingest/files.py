"""The files of a run, as its records name them and as they are found on the disk.

Nothing that a record says is trusted: what has no digest, or a path that no manifest may hold, is
left out and told as missing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..journal.notebook import Fold, FoldedRun
from ..model.digest import digest_stream, is_digest
from ..model.manifest import FILE, MODES, Entry, check_path
from ..model.moment import seconds
from ..model.run import by_name
from ..store import Store
from .filter import blank_skipped, keep

_LATE = 60.0  # seconds after its end in which a run's notebook file is saved (`jupyter execute`)


def entries_of(files: Iterable[Mapping[str, Any]]) -> dict[str, Entry]:
    """Give the entries that records of files tell of, but for those that cannot be stored."""
    found = {}
    for file in files:
        if unstorable(file) is None:
            mode = file.get("mode")
            mode = mode if mode in MODES else FILE
            found[str(file["path"])] = Entry(file["digest"], int(file["size"]), str(mode))
    return found


def unstorable(file: Mapping[str, Any]) -> str | None:
    """Say why a file cannot be stored; None when it can."""
    try:
        check_path(file["path"])
    except UsageError as error:
        return str(error)
    except (KeyError, TypeError, AttributeError):
        return "its record cannot be read"
    size = file.get("size")
    plausible = is_digest(file.get("digest")) and isinstance(size, int) and size >= 0
    return None if plausible else "its record cannot be read"


def code_of(folded: FoldedRun) -> dict[str, Entry]:
    """Give the files of a run's own code artifact that its process put into the spool."""
    entries = entries_of(folded.code.values())
    for artifact in folded.artifacts.values():
        if artifact.get("own"):
            entries |= entries_of(artifact.get("files", ()))
    patch = {"path": "diff.patch", "digest": folded.git.get("patch")}
    return entries | entries_of([{**patch, "size": folded.git.get("patch_size", 0)}])


def missing_of(folded: FoldedRun, lost: Iterable[str]) -> list[tuple[str, str]]:
    """Name what could not be kept of a run, and why; `lost` are digests that nobody has."""
    told = {**folded.missing}
    without = set(lost)
    named = [*folded.files.values(), *folded.code.values()]
    for artifact in folded.artifacts.values():
        named += artifact.get("files", ())
    for file in named:
        reason = unstorable(file)
        if reason is None and file["digest"] in without:
            reason = "not stored"
        if reason is not None:
            told[str(file.get("path"))] = reason
    return list(told.items())


def requirements_of(environment: Mapping[str, Any]) -> bytes | None:
    """Give the requirements.txt of an environment; None when its packages are not known."""
    packages = environment.get("packages")
    if not packages:
        return None
    editable = environment.get("editable") or {}
    lines = [editable.get(name) or f"{name}=={packages[name]}" for name in by_name(packages)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def notebook_copy(
    fold: Fold, folded: FoldedRun, notebook: str | None, ended: str | None
) -> tuple[str, bytes] | None:
    """Give a run's notebook file as it was saved last, by its name, without its skipped cells."""
    if not notebook or not os.path.isabs(notebook):
        return None
    name = os.path.basename(notebook)
    try:
        check_path(name)
        saved_at = os.stat(notebook).st_mtime
        data = Path(notebook).read_bytes()
    except UsageError as error:
        folded.missing[name] = str(error)
        return None
    except OSError:
        return None
    if ended is not None and saved_at > seconds(ended) + _LATE:
        folded.missing[name] = "changed after the run"
        return None
    copy = blank_skipped(
        data, fold.skipped_ids, fold.skipped_sources, outputs=not fold.sources_only
    )
    return None if copy is None else (name, keep(copy))


def take_watched(store: Store, fold: Fold, folded: FoldedRun) -> None:
    """Take files that nobody was left to take, unless they were changed after the session."""
    if fold.session_end is not None or fold.session.get("host") != socket.gethostname():
        return
    for path, target in _left_behind(folded):
        try:
            if not target.is_file():
                continue
            if target.stat().st_mtime_ns > fold.last_ns:
                folded.missing[path] = "changed after the run"
                continue
            digest, size = store.put_file(target)
        except OSError as error:
            folded.missing[path] = error.strerror or str(error)
            continue
        folded.files[path] = {"path": path, "digest": digest, "size": size}


def reread(store: Store, source: str, digest: str) -> bool:
    """Store a file again whose spooled bytes are gone; only if it is still what it was."""
    try:
        with open(source, "rb") as file:
            if digest_stream(file)[0] != digest:
                return False
        return store.put_file(source)[0] == digest
    except OSError:
        return False


def _left_behind(folded: FoldedRun) -> Iterator[tuple[str, Path]]:
    """Give path and place of what was watched and never taken."""
    for path, watch in folded.watched.items():
        under = path + "/"
        known = any(file == path or file.startswith(under) for file in folded.files)
        if known or path in folded.missing:
            continue
        source = Path(str(watch.get("source")))
        if not source.is_dir():
            yield path, source
            continue
        for target in sorted(source.rglob("*")):
            yield under + target.relative_to(source).as_posix(), target
