"""The JSON shapes that HTTP answers with, made in worker processes; nothing here knows tornado."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..capture.switch import said_in
from ..control import read_control, renamed
from ..diff.normalize import normalize
from ..diff.notebooks import Options, whole_cells
from ..diff.trees import Files, Side, compare
from ..errors import CodeSaveError, NotFoundError, UsageError
from ..ingest import Code, Ingest
from ..ingest.series import series_path
from ..journal.events import SUFFIX
from ..model.moment import seconds
from ..model.reference import PathReference, parse_reference
from ..model.run import Run
from ..settings import data_dir, resolve
from ..store import Store
from .outline import outline

_CACHE = 64 << 20  # bytes of answers to diffs that a worker keeps
_CHUNK = 1 << 20
_SIDES = ("base", "head")
Contents = Mapping[str, Mapping[str, bytes]]  # reference → file name → bytes


class Payloads:
    """Answers calls out of a store that it opens once; one for a worker process."""

    def __init__(self) -> None:
        self.root = os.environ.get("CODESAVE_SERVER_ROOT", "")
        self.store = Store.open(data_dir(), resolve())
        self.ingest_ = Ingest(self.store)
        self._compared: dict[str, bytes] = {}
        self._shown: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def said_in(self, notebook: str) -> list[Any] | None:
        """Give what a notebook file says of `capture`, and the sources of cells to skip."""
        found = said_in(notebook)
        return found and [found[0], sorted(found[1])]

    # -- ingest ---------------------------------------------------------------------------------

    def ingest(self, paths: Sequence[str] | None = None, commit: bool = False) -> dict[str, Any]:
        """Ingest these journals, or all that wait; tell what changed and what failed."""
        journals = self.ingest_.waiting() if paths is None else [Path(path) for path in paths]
        changes, errors = [], []
        for path in journals:
            try:
                for change in self.ingest_.step(path, commit=commit):
                    changes.append({"action": change.action, "run": self._summary(change.run)})
            except (CodeSaveError, OSError) as error:
                errors.append({"journal": str(path), "message": str(error)})
        sessions = [
            {**entry, "notebook": self._contents_path(entry["notebook"])}
            for entry in self.ingest_.sessions()
        ]
        return {"changes": changes, "errors": errors, "sessions": sessions}

    def rename(self, old: str, new: str) -> dict[str, Any]:
        """Let a renamed notebook (absolute paths) go on with its series."""
        folder = self.store.folder
        self.store.rename_series(series_path(folder, old), series_path(folder, new))
        return {}

    def size(self) -> dict[str, Any]:
        """Give what the store uses and may use, in bytes, and how many journals wait."""
        return {
            "size": self.store.size(),
            "budget": self.store.budget(),
            "waiting": len(self.ingest_.waiting()),
        }

    # -- runs -----------------------------------------------------------------------------------

    def runs(
        self,
        limit: int = 50,
        cursor: str | None = None,
        project: str | None = None,
        notebook: str | None = None,
        state: str | None = None,
        q: str | None = None,
    ) -> dict[str, Any]:
        """List runs, newest first, a page at a time.

        `notebook` is a contents path; the state `deleted` lists what `restore` brings back.
        """
        if notebook and self.root and not os.path.isabs(notebook):
            notebook = os.path.join(self.root, *notebook.split("/"))
        page = self.store.runs(
            project=project,
            notebook=notebook,
            state=None if state == "deleted" else state,
            deleted=state == "deleted",
            q=q,
            limit=limit,
            cursor=cursor,
        )
        control = read_control(self.store.folder)
        return {"runs": [self._summary(run, control) for run in page.items], "next": page.next}

    def run(self, run_id: str) -> dict[str, Any]:
        """Give one run whole."""
        run = self.store.run(run_id)
        notebook = self._notebook(run, read_control(self.store.folder))
        return {**self.ingest_.details(run), "notebook": notebook}

    def update_run(self, run_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change a run's name, tags or notes."""
        known: dict[str, Any] = {"name": str, "tags": list, "notes": (str, type(None))}
        for key, value in changes.items():
            if key not in known or not isinstance(value, known[key]):
                raise UsageError(f"a run's {key} cannot be {value!r}; name, tags and notes change")
        if not all(isinstance(tag, str) for tag in changes.get("tags", ())):
            raise UsageError("tags are a list of strings")
        return self._summary(self.store.update_run(self.store.run(run_id).id, **changes))

    def delete_run(self, run_id: str) -> dict[str, Any]:
        """Delete a run until it is restored or purged."""
        run = self.store.run(run_id)
        self.store.delete(run.id)
        return self._summary(run)

    def restore_run(self, run_id: str) -> dict[str, Any]:
        """Bring a deleted run back."""
        self.store.restore(run_id)
        return self._summary(self.store.run(run_id))

    def notebook(self, run_id: str) -> bytes:
        """Give a run's session notebook, as untrusted JSON."""
        return json.dumps(self._session(run_id)).encode()

    def executions(self, run_id: str) -> dict[str, Any]:
        """Outline a run's session notebook: every execution, none of the outputs."""
        run = self.store.run(run_id)
        try:
            notebook = self._session(run.id)
        except NotFoundError:  # nothing was executed
            notebook = {"cells": [], "metadata": {}}
        metadata = notebook["metadata"]
        return {
            "language": (metadata.get("language_info") or {}).get("mimetype"),
            "gaps": (metadata.get("codesave") or {}).get("gaps") or [],
            "executions": [outline(cell) for cell in notebook["cells"]],
        }

    def cells(self, run_id: str, indices: Sequence[int]) -> dict[str, Any]:
        """Give some cells of a run's session notebook whole, by their place in it."""
        cells = self._session(run_id)["cells"]
        return {"cells": {str(n): cells[n] for n in indices if 0 <= n < len(cells)}}

    # -- artifacts ------------------------------------------------------------------------------

    def artifacts(self, recent: int = 0) -> list[dict[str, Any]]:
        """List every series with its versions, or with the `recent` newest of them."""
        found = [artifact.summary() for artifact in self.store.artifacts()]
        for series in found if recent else ():
            newest_first = sorted(series["versions"], key=lambda v: str(v["created"]), reverse=True)
            series["versions"] = newest_first[:recent]
        return found

    def artifact(self, name: str, version: str) -> dict[str, Any]:
        """Give one version and its files."""
        found = self.store.version(name, version)
        files = [
            {"path": path, "digest": entry.digest, "size": entry.size}
            for path, entry in self.store.manifest(found.digest)
        ]
        return {"artifact": found.artifact, **found.summary(), "files": files}

    def artifact_file(self, name: str, version: str, path: str) -> Iterator[bytes]:
        """Stream one file of a version."""
        manifest = self.store.manifest(self.store.version(name, version).digest)
        if path not in manifest.entries:
            raise NotFoundError(f"{name}:{version} holds no file {path!r}")
        return self._stream(manifest.entries[path].digest)

    def blob(self, digest: str, run: str) -> Iterator[bytes]:
        """Stream a blob, but only one that the run or its versions name."""
        found = self.store.run(run)
        manifests = [self.store.files(found.id)]
        manifests += [self.store.manifest(v.digest) for v in self.store.versions_of(found.id)]
        if not any(entry.digest == digest for manifest in manifests for _, entry in manifest):
            raise NotFoundError(f"the run {found.id} names no blob {digest}")
        return self._stream(digest)

    # -- diffs ----------------------------------------------------------------------------------

    def diff(
        self,
        base: str,
        head: str,
        contents: Contents,
        path: str | None = None,
        notebooks: str = "none",
        outputs: bool = True,
        metadata: bool = True,
        noise: bool = False,
    ) -> bytes:
        """Compare what two references stand for; the same two are compared once."""
        sides = [self._side(base, contents), self._side(head, contents)]
        files = [sorted((path, e.digest) for path, e in side.tree.files.items()) for side in sides]
        facts = [(side.ref, side.title, side.run) for side in sides]
        key = json.dumps([files, facts, path, notebooks, outputs, metadata, noise], default=repr)
        answer = self._compared.pop(key, None)
        if answer is None:
            found = compare(
                *sides,
                options=Options(outputs=outputs, metadata=metadata, noise=noise),
                path=path,
                notebooks=_known(notebooks),
                texts=path is not None,
            )
            answer = json.dumps(found).encode()
        self._compared[key] = answer
        while sum(map(len, self._compared.values())) > _CACHE and len(self._compared) > 1:
            del self._compared[next(iter(self._compared))]  # the one longest not asked for
        return answer

    def diff_cells(
        self, base: str, head: str, contents: Contents, path: str, side: str, indices: list[int]
    ) -> dict[str, Any]:
        """Give whole cells of one side's normal form."""
        code = self._code(base if side == "base" else head, contents)
        return {"cells": whole_cells(normalize(code.read(path)), indices)}

    def diff_texts(self, body: bytes) -> dict[str, Any]:
        """Compare two notebooks given as text, in a JSON object with `base` and `head`."""
        try:
            asked = json.loads(body)
            texts = [(name, asked[name].encode("utf-8", "surrogatepass")) for name in _SIDES]
            notebooks = _known(asked.get("notebooks", "full"))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise UsageError("base and head must be the text of a notebook each") from None
        sides = []
        for name, text in texts:
            normalize(text)  # a side that is no notebook is the caller's mistake, not a text
            sides.append(Side(name, Files({"notebook.ipynb": text}), "path"))
        return compare(*sides, notebooks=notebooks)

    def search(self, q: str, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        """Find a text in the sources of all executions."""
        page = self.store.search(q, limit=limit, cursor=cursor)
        hits = [hit.summary() for hit in page.items]
        return {"results": hits, "next": page.next}

    # -- pieces ---------------------------------------------------------------------------------

    def _session(self, run_id: str) -> dict[str, Any]:
        """Give a run's session notebook; the last one asked for is kept while it is as it was."""
        run = self.store.run(run_id)
        digests = [version.digest for version in self.store.versions_of(run.id)]
        state: tuple[Any, ...] = (run.id, run.state, *digests)
        with contextlib.suppress(OSError):
            journal = (self.ingest_.journals / (run.session + SUFFIX)).stat()
            state = (*state, journal.st_size, journal.st_mtime_ns)
        if self._shown is None or self._shown[0] != state:
            self._shown = None
            notebook = json.loads(self.ingest_.session_notebook(run))
            self._shown = state, _untrusted(notebook)
        return self._shown[1]

    def _code(self, reference: str, contents: Contents) -> Code:
        parsed = parse_reference(reference, lambda path: reference in contents)
        if isinstance(parsed, PathReference) or reference in contents:
            found = contents.get(reference)
            if found is None:
                raise NotFoundError(f"there is no file {reference} in this server's contents")
            return self.ingest_.code("./" + reference, read_path=lambda _: found)
        return self.ingest_.code(reference)

    def _side(self, reference: str, contents: Contents) -> Side:
        code = self._code(reference, contents)
        run = None
        if code.run is not None:
            run = {**code.run, "notebook": self._contents_path(code.run.get("notebook"))}
        title = code.title.removeprefix("./")
        return Side(ref=reference, tree=code, kind=code.kind, title=title, run=run)

    def _stream(self, digest: str) -> Iterator[bytes]:
        with contextlib.closing(self.store.open_blob(digest)) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def _summary(self, run: Run, control: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if control is None:
            control = read_control(self.store.folder)
        return {**run.summary(), "notebook": self._notebook(run, control)}

    def _notebook(self, run: Run, control: Mapping[str, Any]) -> str | None:
        """Give the contents path of a run's notebook by its present name."""
        if run.notebook is None:
            return None
        return self._contents_path(renamed(control, run.notebook, seconds(run.started)))

    def _contents_path(self, path: str | None) -> str | None:
        """Map an absolute path to a contents path where it lies below the server's root."""
        if path and self.root and os.path.isabs(path):
            with contextlib.suppress(ValueError):
                relative = Path(path).relative_to(self.root)
                return relative.as_posix()
        return path


def _known(notebooks: str) -> str:
    """Give how much of the notebooks an answer shall hold; UsageError when it cannot be that."""
    if notebooks not in ("none", "touched", "full"):
        raise UsageError(f"notebooks cannot be {notebooks!r}: none, touched or full")
    return notebooks


def _untrusted(notebook: dict[str, Any]) -> dict[str, Any]:
    """Strip the flags by which stored JSON would call itself trusted."""
    for holder in (notebook, *notebook.get("cells", ())):
        metadata = holder.get("metadata")
        if isinstance(metadata, dict):
            metadata.pop("trusted", None)
    notebook.get("metadata", {}).pop("signature", None)
    return notebook
