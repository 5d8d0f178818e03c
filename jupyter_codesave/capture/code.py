"""log_code(): the source below a folder, as an artifact."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from fnmatch import translate
from functools import partial
from typing import Any

from ..model.artifact import CODE, source_name
from ..model.manifest import Entry, Manifest
from .files import Found
from .project import project_root
from .run import Run
from .tree import walk
from .warning import warn

INCLUDED = (
    *("*.py", "*.pyi", "*.pyx", "*.pxd", "Dockerfile*", "*.dockerfile"),
    *("requirements*.txt", "requirements*.in", "constraints*.txt", "pyproject.toml"),
    *("setup.cfg", "environment*.yml", "environment*.yaml", "Pipfile", "uv.lock", "poetry.lock"),
)
_INCLUDED = re.compile("|".join(map(translate, INCLUDED))).match
_BATCH = 64  # files that one thread reads at a time
_SMALL = 1 << 20  # bytes; smaller files go into packs

Choice = Callable[..., bool]


@dataclass
class Artifact:
    """What log_code() saved: `files` maps paths to entries; `version` is None until ingested."""

    name: str
    files: dict[str, Entry] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)  # path → reason
    run: str | None = None
    own: bool = False  # it is the run's own code artifact, not one with a name of its own
    dry_run: bool = False
    _version: str | None = field(default=None, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """The digest of the manifest of these files."""
        return Manifest(self.files).digest

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    @property
    def version(self) -> str | None:
        """`vN` as soon as it is ingested, else None. Asks the command line, in its own process."""
        if self._version is None and self.run is not None and not self.dry_run:
            self._version = _version_of(self)
        return self._version

    def wait(self, timeout: float = 60.0) -> Artifact:
        """Return when the version is known; TimeoutError when nobody ingests in time."""
        import time

        deadline = time.monotonic() + timeout
        while self.version is None:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.name} was not ingested within {timeout:g} s: start a Jupyter server, "
                    "or run `jupyter codesave ingest`"
                )
            time.sleep(0.2)
        return self

    def __repr__(self) -> str:
        what = "would hold" if self.dry_run else "holds"
        return f"<artifact {self.name} {what} {len(self.files)} files, {self.size:,} bytes>"

    def _repr_html_(self) -> str:
        from .summary import table

        rows = [(path, entry.size, entry.digest) for path, entry in sorted(self.files.items())]
        return table(repr(self)[1:-1], rows)


def log_code(
    run: Run,
    root: str | os.PathLike[str] = ".",
    name: str | None = None,
    include_fn: Choice | None = None,
    exclude_fn: Choice | None = None,
    dry_run: bool = False,
) -> Artifact | None:
    """Save all source below `root` as a code artifact; None (and a warning) if nothing is there.

    By default Python source and what a reader needs with it, and never virtual environments,
    node_modules, caches, `.git`, nor what git ignores. `include_fn` and `exclude_fn` get `(path)`
    or `(path, root)`, absolute. Without a name it joins the run's own code artifact. `dry_run`
    tells what would be saved.
    """
    includes = _choice(include_fn, "include_fn") or _by_default
    excludes = _choice(exclude_fn, "exclude_fn") or (lambda path, root: False)
    if name is not None:
        if not name or len(name) > 128:
            raise ValueError(f"an artifact's name has 1 to 128 characters, not {len(name)}")
        name = _fitting(name)
    recorder = run.recorder
    if recorder is None and not dry_run:
        if not run.disabled:
            warn(f"no code is saved: {run.reason}")
        return None
    folder = os.path.abspath(os.fspath(root))
    own = source_name(run.project, relative_name(run))
    artifact = Artifact(name or own, run=run.id, own=name in (None, own), dry_run=dry_run)
    without = str(recorder.switch.folder) if recorder is not None else None
    chosen = _chosen(walk(folder, without), folder, includes, excludes, artifact.skipped)
    if not chosen:
        there = "nothing there is source" if os.path.isdir(folder) else "there is no such folder"
        warn(f"no code is saved from {folder}: {there}")
        return None
    if dry_run:
        artifact.files = {f.path: Entry("", f.status.st_size, f.mode) for f in chosen}
        return artifact
    assert recorder is not None
    artifact.files = keep(recorder.spool, folder, chosen, artifact.skipped)
    for path, reason in artifact.skipped.items():
        recorder.event("file-missing", run=run.id, path=path, reason=reason)
    if artifact.skipped:
        path, reason = next(iter(artifact.skipped.items()))
        warn(f"{len(artifact.skipped)} not saved: {path} ({reason}) …")
    recorder.event(
        "artifact",
        run=run.id,
        name=artifact.name,
        type=CODE,
        own=artifact.own,
        files=listed(artifact.files),
    )
    return artifact


def _fitting(name: str) -> str:
    """Give a name that artifacts can have, the same for the same `name`."""
    fitting = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    if fitting != name:
        warn(
            f"the artifact {name!r} is kept as {fitting!r}: names hold letters, digits, dots, "
            "dashes and underscores"
        )
    return fitting


def relative_name(run: Run) -> str:
    """Name the notebook or program relative to its project's root."""
    path = run.notebook or run.program
    if path is None:
        return run.name
    return os.path.relpath(path, project_root(os.path.dirname(path))).replace(os.sep, "/")


def _chosen(
    files: Iterator[Found | tuple[str, str]],
    folder: str,
    includes: Choice,
    excludes: Choice,
    skipped: dict[str, str],
) -> list[Found]:
    chosen = []
    for file in files:
        path = file.path if isinstance(file, Found) else file[0]
        absolute = os.path.join(folder, path)
        if not includes(absolute, folder) or excludes(absolute, folder):
            continue
        if isinstance(file, Found):
            chosen.append(file)
        else:
            skipped[path] = file[1]
    return chosen


def keep(spool: Any, folder: str, files: list[Found], skipped: dict[str, str]) -> dict[str, Entry]:
    """Bring files into the spool.

    Unchanged ones are known by their stat; small new ones go into one pack.
    """
    from ..blobs.batch import Batch, LaidOut
    from ..blobs.statcache import StatCache

    cache = StatCache(spool.folder, folder)
    entries: dict[str, Entry] = {}
    unknown: list[Found] = []
    for file in files:
        digest = cache.get(file.path, file.status)
        if digest is None:
            unknown.append(file)
        else:
            entries[file.path] = Entry(digest, file.status.st_size, file.mode)
    batches = [unknown[at : at + _BATCH] for at in range(0, len(unknown), _BATCH)]
    with Batch(spool) as packed:
        for file, found in zip(unknown, _read_all(spool, batches), strict=True):
            if isinstance(found, str):
                skipped[file.path] = found
                continue
            if isinstance(found, LaidOut):
                packed.add(found)
            digest, size = found[:2]
            cache.note(file.path, file.status, digest)
            entries[file.path] = Entry(digest, size, file.mode)
    cache.save()
    return {file.path: entries[file.path] for file in files if file.path in entries}


def _read_all(spool: Any, batches: list[list[Found]]) -> Iterator[Any]:
    """Read batches in threads; one by one here when the program ends, and no thread can begin."""
    results: Iterable[list[Any]] = map(partial(_read, spool), batches)
    with ExitStack() as stack:
        if len(batches) > 1:
            with suppress(RuntimeError):
                from concurrent.futures import ThreadPoolExecutor

                pool = stack.enter_context(ThreadPoolExecutor(min(4, os.cpu_count() or 1)))
                results = pool.map(partial(_read, spool), batches)
        for batch in results:
            yield from batch


def _read(spool: Any, files: list[Found]) -> list[Any]:
    """Lay out small files; large ones go to the spool: digest and size. Or give a reason."""
    from ..blobs.batch import lay_out

    results: list[Any] = []
    for file in files:
        try:
            if file.status.st_size < _SMALL:
                with open(file.source, "rb") as source:
                    results.append(lay_out(source.read()))
            else:
                results.append(spool.put_file(file.source))
        except OSError as error:
            results.append(error.strerror or "unreadable")
    return results


def _version_of(artifact: Artifact) -> str | None:
    """Find the version with these very files, or the newest one of the run's own artifact."""
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_codesave", "artifacts", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    try:
        listed = json.loads(done.stdout)
    except ValueError:
        return None
    versions = [
        version
        for each in listed
        for version in each["versions"]
        if (each["name"] == artifact.name and version["digest"] == artifact.digest)
        or (artifact.own and version["run"] == artifact.run)
    ]
    newest = max(versions, key=lambda version: version["created"], default=None)
    return newest["version"] if newest else None


def _choice(given: Choice | None, name: str) -> Choice | None:
    if given is None:
        return None
    if not callable(given):
        raise TypeError(f"{name} must be callable, not {type(given).__name__}")
    import inspect

    try:
        takes = len(inspect.signature(given).parameters)
    except (TypeError, ValueError):
        takes = 1
    return given if takes == 2 else lambda path, root: given(path)


def _by_default(path: str, root: str) -> bool:
    return _INCLUDED(os.path.basename(path)) is not None


def listed(files: dict[str, Entry]) -> list[dict[str, Any]]:
    return [
        {"path": path, "digest": entry.digest, "size": entry.size, "mode": entry.mode}
        for path, entry in files.items()
    ]
