"""`Api()`: list, fetch, download, search and diff what is saved. Heavy imports on first use."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ingest import Code, Ingest
    from .model.artifact import Version
    from .model.run import Run


class SavedRun:
    """A run as it is saved: its facts as attributes, its session notebook, its files.

    The attributes are the keys of `jupyter codesave show --json`: `id`, `name`, `project`,
    `state`, `config`, `git`, `environment` and so on; times are ISO 8601 in UTC.
    """

    def __init__(self, ingest: Ingest, run: Run) -> None:
        self._ingest, self._run = ingest, run

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._run.details()[name]
        except KeyError:
            raise AttributeError(
                f"a run has no {name!r}; it has {', '.join(sorted(self._run.details()))}"
            ) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._run.details()})

    def __repr__(self) -> str:
        run = self._run
        return f"<run {run.id} {run.name!r}, {run.state}, {run.executions} executions>"

    def _repr_html_(self) -> str:
        return _html_table(("run", "name", "state", "started", "cells"), [_row(self._run)])

    @property
    def files(self) -> list[str]:
        """The paths of the files that the run stands for, saved files below `files/`."""
        return sorted(self._code().files)

    def read(self, path: str) -> bytes:
        """Give the bytes of one of `files`; NotFoundError when there is none of that path."""
        return self._code().read(path)

    def notebook(self) -> dict[str, Any]:
        """Give the session notebook (nbformat 4)."""
        found: dict[str, Any] = json.loads(self._ingest.session_notebook(self._run))
        return found

    def artifacts(self) -> list[SavedArtifact]:
        """Give the versions that the run made, oldest first."""
        versions = self._ingest.store.versions_of(self._run.id)
        ordered = sorted(versions, key=lambda version: (version.created, version.number))
        return [SavedArtifact(self._ingest, version) for version in ordered]

    def download(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write `files` below `folder`; UsageError rather than over a file that differs."""
        return _download(self._code(), folder, overwrite)

    def _code(self) -> Code:
        return self._ingest.code(self._run.id)


class SavedArtifact:
    """One version of an artifact: `name`, `version`, `aliases`, `digest`, `size`, `run`."""

    def __init__(self, ingest: Ingest, version: Version) -> None:
        self._ingest, self._version = ingest, version
        self.name, self.version = version.artifact, f"v{version.number}"
        self.aliases, self.digest, self.size = version.aliases, version.digest, version.size
        self.run, self.created, self.type = version.run, version.created, version.type

    def __repr__(self) -> str:
        return f"<artifact {self._version.reference}, {len(self.files)} files, {self.size} bytes>"

    def _repr_html_(self) -> str:
        code = self._code()
        rows = [(path, entry.size, entry.digest) for path, entry in sorted(code.files.items())]
        return _html_table((self._version.reference, "bytes", "digest"), rows)

    @property
    def files(self) -> list[str]:
        """The paths of the version's files."""
        return sorted(self._code().files)

    def read(self, path: str) -> bytes:
        """Give the bytes of one of `files`; NotFoundError when there is none of that path."""
        return self._code().read(path)

    def download(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write `files` below `folder`; UsageError rather than over a file that differs."""
        return _download(self._code(), folder, overwrite)

    def _code(self) -> Code:
        return self._ingest.code(self._version.reference)


class SavedRuns(list[SavedRun]):
    """A list of runs that notebooks show as a table."""

    def _repr_html_(self) -> str:
        rows = [_row(run._run) for run in self]
        return _html_table(("run", "name", "state", "started", "cells"), rows)


class Comparison(Mapping[str, Any]):
    """What `diff --json` prints, as a mapping that shows itself as readable text."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def __getitem__(self, key: str) -> Any:
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        changed = [file["path"] for file in self._found["files"] if file["status"] != "unchanged"]
        return f"<comparison: {', '.join(changed) or 'no difference'}>"

    def _repr_html_(self) -> str:
        rows = [
            (file["path"], file["status"], _counts(file.get("counts")))
            for file in self._found["files"]
        ]
        return _html_table(("file", "status", "cells"), rows)


class Api:
    """Reads the user's store: `runs()`, `run(ref)`, `artifact(ref)`, `diff(base, head)`, `search`.

    Journals that wait are ingested first. Use it as a context manager, or `close()` it.
    """

    def __init__(self) -> None:
        from .ingest import Ingest
        from .settings import data_dir, resolve
        from .store import Store

        self._store = Store.open(data_dir(), resolve())
        self._ingest = Ingest(self._store)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<codesave.Api of {self._store.folder}>"

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def runs(
        self, project: str | None = None, notebook: str | Path | None = None, limit: int = 50
    ) -> SavedRuns:
        """List runs, newest first."""
        self._ingest.all()
        where = str(Path(notebook).absolute()) if notebook is not None else None
        page = self._store.runs(project=project, notebook=where, limit=limit)
        return SavedRuns(SavedRun(self._ingest, run) for run in page.items)

    def run(self, ref: str) -> SavedRun:
        """Give a run by id, unique prefix, `@1` or `NOTEBOOK.ipynb@1`; else NotFoundError."""
        from .errors import UsageError
        from .model.reference import RecentReference, RunReference, parse_reference

        self._ingest.all()
        parsed = parse_reference(ref, lambda _: False)
        if isinstance(parsed, RunReference):
            return SavedRun(self._ingest, self._store.run(parsed.prefix))
        if isinstance(parsed, RecentReference):
            return SavedRun(self._ingest, self._store.nth_run(parsed.n, parsed.notebook))
        raise UsageError(f"{ref!r} names no run: give a run id, @1 or NOTEBOOK.ipynb@1")

    def artifact(self, ref: str) -> SavedArtifact:
        """Give a version by `NAME:vN`, `NAME:ALIAS` or `NAME` (its latest); else NotFoundError."""
        self._ingest.all()
        name, _, selector = ref.partition(":")
        return SavedArtifact(self._ingest, self._store.version(name, selector or "latest"))

    def diff(self, base: str = "@2", head: str = "@1", path: str | None = None) -> Comparison:
        """Compare two references as `jupyter codesave diff --json` does."""
        from .diff.trees import Side, compare

        self._ingest.all()
        sides = []
        for ref in (base, head):
            code = self._ingest.code(ref)
            sides.append(Side(ref, code, code.kind, code.title, code.run))
        return Comparison(compare(*sides, path=path))

    def search(self, text: str, limit: int = 50) -> list[dict[str, Any]]:
        """Find a text in the sources of all executions: run, execution, source, started."""
        self._ingest.all()
        return [hit.summary() for hit in self._store.newest_hits(text, limit)]


def _download(code: Code, folder: str | Path, overwrite: bool) -> list[Path]:
    from .ingest.code import download

    return download(code, Path(folder), overwrite=overwrite)


def _row(run: Run) -> tuple[Any, ...]:
    return run.id, run.name, run.state, run.started[:16].replace("T", " "), run.executions


def _counts(counts: Mapping[str, int] | None) -> str:
    return ", ".join(f"{count} {name}" for name, count in (counts or {}).items() if count)


def _html_table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    def line(tag: str, cells: tuple[Any, ...]) -> str:
        texts = (str(cell).encode("utf-8", "replace").decode("utf-8") for cell in cells)
        return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts) + "</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"
