"""`runs`, `show`, `notebook`, `delete`, `restore`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import NotFoundError, UsageError
from .output import (
    add_json,
    bytes_text,
    harmless,
    moment,
    number,
    opened,
    print_facts,
    print_json,
    print_table,
    short_digest,
)

NO_RUNS = "No runs yet. Execute a cell in JupyterLab, or try `jupyter codesave demo`."


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    command = commands.add_parser("runs", help="list runs, newest first")
    command.add_argument("--project", help="only runs of this project")
    command.add_argument("--notebook", metavar="PATH", help="only runs of this notebook")
    command.add_argument("--deleted", action="store_true", help="those that `restore` brings back")
    command.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    add_json(command)
    command.set_defaults(command=runs)

    command = commands.add_parser("show", help="show all that is known of a run")
    command.add_argument("run", metavar="RUN")
    add_json(command)
    command.set_defaults(command=show)

    command = commands.add_parser("notebook", help="print or write a run's session notebook")
    command.add_argument("run", metavar="RUN")
    command.add_argument("-o", "--output", metavar="FILE", help="write it to FILE (-: print it)")
    command.set_defaults(command=notebook)

    command = commands.add_parser("delete", help="delete a run, until it is restored or purged")
    command.add_argument("run", metavar="RUN")
    command.set_defaults(command=delete)

    command = commands.add_parser("restore", help="bring a deleted run back")
    command.add_argument("run", metavar="RUN")
    command.set_defaults(command=restore)


def find_run(ingest: Any, reference: str) -> Any:
    """Give the run that a reference names: an id, a prefix, `@1`, `NOTEBOOK.ipynb@1`."""
    from ..model.reference import RecentReference, RunReference, parse_reference

    parsed = parse_reference(reference, lambda _: False)
    if isinstance(parsed, RunReference):
        return ingest.store.run(parsed.prefix)
    if isinstance(parsed, RecentReference):
        return ingest.store.nth_run(parsed.n, parsed.notebook)
    raise UsageError(f"{reference!r} names no run: give a run id, @1 or NOTEBOOK.ipynb@1")


def runs(arguments: argparse.Namespace) -> None:
    """List runs."""
    notebook = os.path.abspath(arguments.notebook) if arguments.notebook else None
    with opened() as ingest:
        page = ingest.store.runs(
            project=arguments.project,
            notebook=notebook,
            deleted=arguments.deleted,
            limit=max(arguments.limit, 1),
        )
    if arguments.json:
        print_json([run.summary() for run in page.items])
        return
    if not page.items:
        if arguments.deleted or notebook or arguments.project:
            print("There are no such runs; `jupyter codesave runs` lists all.")
        else:
            print(NO_RUNS)
        return
    print_table(
        ("RUN", "STARTED", "STATE", "NAME", "PROJECT", "CELLS", "ARTIFACT"),
        (
            (
                run.id,
                moment(run.started),
                run.state,
                run.name,
                run.project,
                run.executions,
                run.artifact or "-",
            )
            for run in page.items
        ),
    )
    if page.next:
        print(
            f"There are more than the newest {number(len(page.items), 'runs')}: "
            f"`--limit {10 * len(page.items)}` lists more, --project and --notebook choose.",
            file=sys.stderr,
        )


def show(arguments: argparse.Namespace) -> None:
    """Show one run."""
    with opened() as ingest:
        run = find_run(ingest, arguments.run)
        found = ingest.details(run)
        failed = [each.number for each in ingest.store.executions(run.id) if each.status == "error"]
    if arguments.json:
        print_json(found)
        return
    git, environment = found["git"], found["environment"]
    commit = None
    if git["commit"]:
        changes = " (with changes)" if git["dirty"] else ""
        commit = f"{git['commit'][:12]} {git['branch'] or 'detached'}{changes}"
    print_facts(
        [
            ("run", found["id"]),
            ("name", found["name"]),
            ("project", found["project"]),
            ("state", found["state"] + (f" ({found['ended_by']})" if found["ended_by"] else "")),
            ("notebook" if found["notebook"] else "program", found["notebook"] or found["program"]),
            ("started", moment(found["started"])),
            ("ended", moment(found["ended"])),
            ("executions", _executions(found["executions"], failed)),
            ("recorded by", found["by"]),
            ("tags", ", ".join(found["tags"])),
            ("notes", found["notes"]),
            ("config", found["config"]),
            ("folder", found["cwd"]),
            ("host", found["host"]),
            ("user", found["user"]),
            ("git", commit),
            ("python", environment["python"]),
            ("packages", len(environment["packages"]) or None),
            ("versions", ", ".join(f"{v['artifact']}:{v['version']}" for v in found["versions"])),
            ("same session", ", ".join(run for run in found["session_runs"] if run != found["id"])),
            ("error", found["error"]),
        ]
    )
    if found["files"]:
        print("saved files:")
    for file in found["files"]:
        path = harmless(file["path"])
        print(f"  files/{path}  {bytes_text(file['size'])}  {short_digest(file['digest'])}")
    for file in found["missing"]:
        print(harmless(f"  not saved: {file['path']} ({file['reason']})"))


def _executions(count: int, failed: Sequence[int]) -> str:
    """Say how many there were, and which ended with an error."""
    if not failed:
        return str(count)
    named = ", ".join(map(str, failed[:10])) + (" …" if len(failed) > 10 else "")
    return f"{count}, {len(failed)} with an error: {named}"


def notebook(arguments: argparse.Namespace) -> None:
    """Print or write a run's session notebook."""
    with opened() as ingest:
        data = ingest.session_notebook(find_run(ingest, arguments.run))
    if arguments.output in (None, "-"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    Path(arguments.output).write_bytes(data)
    print(f"{arguments.output} written")


def delete(arguments: argparse.Namespace) -> None:
    """Delete a run."""
    with opened() as ingest:
        run = find_run(ingest, arguments.run)
        ingest.store.delete(run.id)
    print(f"{run.id} ({run.name}) is deleted; `jupyter codesave restore {run.id}` brings it back")


def restore(arguments: argparse.Namespace) -> None:
    """Bring a deleted run back."""
    with opened() as ingest:
        try:
            run = ingest.store.run(arguments.run)
        except NotFoundError:
            raise NotFoundError(
                f"there is no run {arguments.run!r} to restore; `jupyter codesave runs --deleted` "
                "lists the ids of those that are deleted"
            ) from None
        ingest.store.restore(run.id)
    print(f"{run.id} ({run.name}) is back")
