"""`artifacts`, `files`, `cat`, `download`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .output import (
    add_json,
    bytes_text,
    moment,
    number,
    opened,
    print_json,
    print_table,
    short_digest,
)


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    command = commands.add_parser("artifacts", help="list artifacts and their versions")
    add_json(command)
    command.set_defaults(command=artifacts)

    command = commands.add_parser("files", help="list the files of a run or version")
    command.add_argument("ref", metavar="REF")
    add_json(command)
    command.set_defaults(command=files)

    command = commands.add_parser("cat", help="print one file of a run or version")
    command.add_argument("ref", metavar="REF")
    command.add_argument("path", metavar="PATH")
    command.set_defaults(command=cat)

    command = commands.add_parser("download", help="write all files of a run or version to DIR")
    command.add_argument("ref", metavar="REF")
    command.add_argument("dir", metavar="DIR")
    command.add_argument("--overwrite", action="store_true", help="replace files that differ")
    command.set_defaults(command=download)


def artifacts(arguments: argparse.Namespace) -> None:
    """List artifacts."""
    with opened() as ingest:
        found = [artifact.summary() for artifact in ingest.store.artifacts()]
    if arguments.json:
        print_json(found)
        return
    if not found:
        print("No artifacts yet. They come with runs, which `jupyter codesave runs` lists.")
        return
    print_table(
        ("ARTIFACT", "VERSION", "ALIASES", "SIZE", "RUN", "CREATED"),
        (
            (
                artifact["name"],
                version["version"],
                ", ".join(version["aliases"]) or "-",
                bytes_text(version["size"]),
                version["run"] or "-",
                moment(version["created"]),
            )
            for artifact in found
            for version in artifact["versions"]
        ),
    )


def files(arguments: argparse.Namespace) -> None:
    """List files."""
    with opened() as ingest:
        code = ingest.code(arguments.ref)
    listed = sorted(code.files.items())
    if arguments.json:
        print_json([{"path": p, "digest": entry.digest, "size": entry.size} for p, entry in listed])
        return
    print_table(
        ("PATH", "SIZE", "DIGEST"),
        ((path, entry.size, short_digest(entry.digest)) for path, entry in listed),
    )


def cat(arguments: argparse.Namespace) -> None:
    """Print one file's bytes."""
    with opened() as ingest:
        data = ingest.code(arguments.ref).read(arguments.path)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def download(arguments: argparse.Namespace) -> None:
    """Write all files below a folder."""
    from ..ingest.code import download as write_files

    with opened() as ingest:
        code = ingest.code(arguments.ref)
        paths = write_files(code, Path(arguments.dir), overwrite=arguments.overwrite)
    print(f"{number(len(paths), 'files')} written to {arguments.dir}")
