"""`diff`, `search`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..capture.repository import Repository
from ..errors import CodeSaveError, NotFoundError
from .output import add_json, console, moment, number, opened, print_json, print_table
from .runs import NO_RUNS

if TYPE_CHECKING:
    from ..diff.trees import Side
    from ..ingest import Ingest


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    command = commands.add_parser(
        "diff",
        help="show how two saved codes differ, cell by cell",
        description="Without references: the newest run against the one before (@2 @1). With one "
        "notebook: its last run against the file as it is now. With one run or version: that "
        "against the newest run (@1). A reference is a run (id, @1, "
        "NOTEBOOK.ipynb@1), a version (ARTIFACT:v0), a path, or, of a file named too, a revision "
        "of git (HEAD~1). Exit code 1 for a difference.",
    )
    command.add_argument("base", metavar="BASE", nargs="?")
    command.add_argument("head", metavar="HEAD", nargs="?")
    command.add_argument("path", metavar="PATH", nargs="?", help="compare only this file")
    # The short forms and those with "ignore" are nbdiff's.
    command.add_argument(
        "-s",
        "--sources-only",
        "--sources",
        action="store_true",
        help="leave outputs and metadata out",
    )
    command.add_argument(
        "-O", "--no-outputs", "--ignore-outputs", action="store_true", help="leave outputs out"
    )
    command.add_argument(
        "-M", "--no-metadata", "--ignore-metadata", action="store_true", help="leave metadata out"
    )
    command.add_argument("--noise", action="store_true", help="count everything as change")
    command.add_argument("--stat", action="store_true", help="only how many cells changed")
    command.add_argument(
        "--with-notebooks", action="store_true", help="with --json: add both normal forms"
    )
    command.add_argument("--no-pager", action="store_true", help="print without a pager")
    command.add_argument("--no-color", action="store_true", help="print without colours")
    add_json(command)
    command.set_defaults(command=diff)

    command = commands.add_parser(
        "search",
        help="find a text in all executed sources and printed outputs",
        description="Finds a text in all executed sources and printed outputs, newest first; upper "
        "and lower case and blanks around operators are not told apart.",
    )
    command.add_argument("text", metavar="TEXT")
    command.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    add_json(command)
    command.set_defaults(command=search)


def diff(arguments: argparse.Namespace) -> int:
    """Compare two codes; 1 when a person sees a difference."""
    from ..diff.notebooks import Options
    from ..diff.trees import compare

    base, head = references(arguments.base, arguments.head)
    files = [name for name in (arguments.path, head, base) if name and os.path.isfile(name)]
    options = Options(
        outputs=not (arguments.sources_only or arguments.no_outputs),
        metadata=not (arguments.sources_only or arguments.no_metadata),
        noise=arguments.noise,
    )
    with opened() as ingest:
        if arguments.base is None:
            _want_two(ingest)
        sides = [_side(ingest, reference, files) for reference in (base, head)]
        one = all(side.kind == "path" and len(side.tree.files) == 1 for side in sides)
        path = os.path.basename(arguments.path) if arguments.path and one else arguments.path
        if all(side.kind == "run" and side.run for side in sides):
            _tell_same(*((side.run or {})["id"] for side in sides))
        wants_text = not arguments.json or arguments.with_notebooks
        found = compare(
            *sides,
            options=options,
            path=path,
            notebooks="full" if wants_text else "none",
        )
    if arguments.json:
        print_json(found)
        return int(found["changed"])
    from ..diff.printing import print_comparison

    out = console()
    out.no_color = out.no_color or arguments.no_color

    def show() -> None:
        print_comparison(found, out, stat=arguments.stat, sources_only=arguments.sources_only)

    if sys.stdout.isatty() and not arguments.no_pager:
        os.environ.setdefault("LESS", "-FRX")
        with out.pager(styles=True):
            show()
    else:
        show()
    return int(found["changed"])


def _want_two(ingest: Ingest) -> None:
    runs = ingest.store.runs(limit=2).items
    if not runs:
        raise NotFoundError(NO_RUNS)
    if len(runs) == 1:
        raise NotFoundError(
            f"there is no run before {runs[0].id}, the only one: run the code once more, or "
            "compare what ran with the file, `jupyter codesave diff NOTEBOOK.ipynb`"
        )


def _tell_same(base: str, head: str) -> None:
    if base == head:
        print(
            f"jupyter codesave: base and head are the same run, {base}; "
            "`jupyter codesave runs` lists others",
            file=sys.stderr,
        )


def _side(ingest: Ingest, reference: str, files: Sequence[str]) -> Side:
    """Give what a reference stands for; as with nbdiff a git revision, too, of a file named."""
    from ..diff.trees import Files, Side

    try:
        code = ingest.code(reference)
    except CodeSaveError:
        for file in files:
            content = _at_revision(reference, file)
            if content is not None:
                title = f"{file} at {reference}"
                return Side(reference, Files({os.path.basename(file): content}), "path", title)
        raise
    return Side(reference, code, code.kind, code.title, code.run)


def _at_revision(revision: str, file: str) -> bytes | None:
    """Read a file as git has it at a revision; None if there is no git or no such revision."""
    path = Path(os.path.abspath(file))
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
    try:
        repository = Repository(path.parent)
        commit = repository.word(*verify)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if commit is None:
        return None
    try:
        return repository.git("cat-file", "blob", f"{commit}:./{path.name}", within=path.parent)
    except subprocess.CalledProcessError:
        reason = f"{file} is not in git at {revision}; name a revision that has it"
        raise NotFoundError(reason) from None


def references(base: str | None, head: str | None) -> tuple[str, str]:
    """Fill in what the user left out."""
    if base is None:
        return "@2", "@1"
    if head is not None:
        return base, head
    if base.endswith(".ipynb") and os.path.exists(base):
        path = base if os.sep in base else os.path.join(".", base)
        return f"{os.path.abspath(base)}@1", path
    return base, "@1"


def search(arguments: argparse.Namespace) -> None:
    """Find a text in executed sources and in what they printed."""
    limit = max(arguments.limit, 1)
    with opened() as ingest:
        hits = ingest.store.newest_hits(arguments.text, limit + 1)
    rows: list[dict[str, Any]] = [hit.summary() for hit in hits[:limit]]
    if arguments.json:
        print_json(rows)
        return
    if not rows:
        print(f"No executed cell held or printed {arguments.text!r}.")
        return
    print_table(
        ("RUN", "EXECUTION", "STARTED", "SOURCE"),
        (
            (r["run"], r["execution"], moment(r["started"]), _line(r["source"], arguments.text))
            for r in rows
        ),
    )
    if len(hits) > limit:
        print(
            f"There are more than the newest {number(limit, 'executions')}: "
            f"`--limit {10 * limit}` lists more.",
            file=sys.stderr,
        )


def _line(source: str, text: str) -> str:
    """Give the line in which the text stands, else the first, which printed it."""
    from ..catalog.search import fold

    lines = source.strip().splitlines() or [""]
    wanted = fold(text.strip())
    if wanted not in fold(source):
        return f"{lines[0].strip()}  (in its output)"
    begin = wanted.splitlines()[0]
    return next((line for line in lines if begin in fold(line)), lines[0]).strip()
