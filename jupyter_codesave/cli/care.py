"""`ingest`, `verify`, `rebuild`, `gc`, `purge`, `copy`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .output import add_json, bytes_text, complain, number, opened, print_json, progress

if TYPE_CHECKING:
    from ..store import Store


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    command = commands.add_parser("ingest", help="bring journals that wait into the store")
    command.set_defaults(command=ingest)

    command = commands.add_parser(
        "verify", help="re-read everything and name what is damaged (exit code 1) or missing"
    )
    command.add_argument(
        "--from",
        metavar="PLACE",
        dest="source",
        help="repair with what a folder, a .zip or a team's store has of it, too",
    )
    add_json(command)
    command.set_defaults(command=verify)

    command = commands.add_parser("rebuild", help="make the catalog anew from the blobs alone")
    command.set_defaults(command=rebuild)

    command = commands.add_parser(
        "gc", help="remove what no run or version names; keep within budget and retention"
    )
    _add_shared(command)
    command.set_defaults(command=gc)

    command = commands.add_parser("purge", help="remove runs for good; nothing of them is left")
    command.add_argument("run", metavar="RUN", nargs="*")
    command.add_argument("--notebook", metavar="P", help="every run of this notebook")
    command.add_argument("--project", metavar="P", help="every run of this project")
    command.add_argument("--all", action="store_true", help="every run")
    _add_shared(command)
    command.set_defaults(command=purge)

    command = commands.add_parser(
        "copy",
        help="copy runs to or from a folder, a .zip or a team's store",
        description="PLACE is a folder (a store is kept in it), a FILE.zip, or a team's store as "
        "DATABASE_URL,ARTIFACT_URL (postgresql+psycopg://…,s3://…). The runs stay where they are; "
        "copying again copies only what is new.",
    )
    command.add_argument("run", metavar="RUN", nargs="*", help="what to copy; none: all runs")
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("--to", metavar="PLACE", help="where to copy runs of the own store to")
    place.add_argument(
        "--from", metavar="PLACE", dest="source", help="what to copy into the own store"
    )
    command.set_defaults(command=copy)


def ingest(_: argparse.Namespace) -> None:
    """Ingest what waits."""
    with opened(ingest_first=False) as ingest_:
        changes = ingest_.all(progress=progress("ingesting"), on_error=complain)
        if (tending := ingest_.tend()) is not None:
            tending.join()
    runs = {change.run.id for change in changes}
    print(f"{number(len(runs), 'runs')} brought up to date")


def verify(arguments: argparse.Namespace) -> int:
    """Verify the store; 1 for damage."""
    with opened(ingest_first=False) as ingest_:
        store, shown = ingest_.store, progress("verifying")
        if arguments.source:
            with store.reading(arguments.source) as heal:
                found = store.verify(progress=shown, heal=heal)
        else:
            found = store.verify(progress=shown)
    if arguments.json:
        print_json(found)
    else:
        print(", ".join(number(found[name], name) for name in ("blobs", "versions", "journals")))
        for kind in ("repaired", "damaged", "missing"):
            for name in found[kind]:
                print(f"{kind}: {name}")
        if not found["damaged"] and not found["missing"]:
            print("all whole")
    return int(bool(found["damaged"] or found["missing"]))


def rebuild(_: argparse.Namespace) -> None:
    """Rebuild the catalog."""
    with opened(ingest_first=False) as ingest_:
        found = ingest_.store.rebuild(progress=progress("rebuilding"))
    print(", ".join(number(count, name) for name, count in found.items()))


def gc(arguments: argparse.Namespace) -> None:
    """Collect garbage."""
    with opened() as ingest_:
        _ask_for_shared(ingest_.store, arguments)
        found = ingest_.store.gc()
    removed = [number(count, name) for name, count in found.items() if count]
    print(f"removed: {', '.join(removed)}" if removed else "there was nothing to remove")


def purge(arguments: argparse.Namespace) -> None:
    """Purge runs."""
    from .runs import find_run

    chosen = [bool(arguments.run), arguments.notebook, arguments.project, arguments.all]
    if sum(map(bool, chosen)) != 1:
        raise UsageError("say what to purge: RUN, --notebook P, --project P or --all")
    notebook = os.path.abspath(arguments.notebook) if arguments.notebook else None
    with opened() as ingest_:
        _ask_for_shared(ingest_.store, arguments)
        before = ingest_.store.size()
        found = ingest_.store.purge(
            runs=[find_run(ingest_, reference).id for reference in arguments.run],
            notebook=notebook,
            project=arguments.project,
            all=arguments.all,
        )
        freed = before - ingest_.store.size()
    print(f"{number(found['runs'], 'runs')} purged, {bytes_text(max(freed, 0))} freed")
    if found["waiting"] == 1:
        print("1 journal goes when its session ends")
    elif found["waiting"]:
        print(f"{found['waiting']} journals go when their sessions end")


def _add_shared(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--shared", action="store_true", help="also of a store that others use: its administrator's"
    )


def _ask_for_shared(store: Store, arguments: argparse.Namespace) -> None:
    if store.is_team and not arguments.shared:
        raise UsageError(
            f"this store is shared ({store.catalog.name}): what goes there goes for everybody; "
            "if you are its administrator, say --shared"
        )


def copy(arguments: argparse.Namespace) -> None:
    """Copy runs to or from a place."""
    from .runs import find_run

    with opened() as ingest_:
        if arguments.to:
            runs = [find_run(ingest_, reference).id for reference in arguments.run]
            found = ingest_.store.copy_to(arguments.to, runs, progress=progress("copying"))
        else:
            found = ingest_.store.copy_from(
                arguments.source, arguments.run, progress=progress("copying")
            )
    print(", ".join(number(count, name) for name, count in found.items()))
