"""A power cut, by the book: of what a process did to its files, only what it synced is left.

strace records the operations; `Disk` replays them twice, as programs see them and as a disk that
promises nothing but fsync: a file's bytes are what they were at its last sync, a name is there
once its folder was synced after it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,"
    "unlink,unlinkat,ftruncate,mkdir,mkdirat,rmdir,close,lseek,link,linkat,fallocate,sendfile,"
    "copy_file_range,dup,dup2,fcntl"
)
_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_HALF = re.compile(r"(?P<pid>\d+) +(?P<begin>\w+\(.*) <unfinished \.\.\.>$")
_REST = re.compile(r"(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<end>.*)$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


class Operation(NamedTuple):
    """One system call: its name, whose it is, the numbers and the texts it was given."""

    call: str
    pid: str
    arguments: str
    texts: tuple[bytes, ...]
    result: int


@dataclass
class File:
    """What a program reads from a file, and what is on the disk."""

    seen: bytearray = field(default_factory=bytearray)
    kept: bytes = b""


def traced(log: Path) -> list[str]:
    """Give the words that run a command under strace."""
    program = shutil.which("strace")
    if program is None:
        try:
            subprocess.run(
                ["apt-get", "install", "-y", "-qq", "strace"], check=True, capture_output=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise RuntimeError("strace is missing: install Debian's package strace") from error
        program = "strace"
    options = ["-f", "-qq", "-xx", "-s", "100000000", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    return [program, *options, "-o", str(log)]


def operations(log: Path) -> Iterator[Operation]:
    """Read what strace recorded, in the order in which the calls came back."""
    begun: dict[str, str] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            whole = line.rstrip("\n")
            if half := _HALF.match(whole):
                begun[half["pid"]] = half["begin"]
                continue
            if rest := _REST.match(whole):
                whole = f"{rest['pid']} {begun.pop(rest['pid'])}{rest['end']}"
            found = _LINE.match(whole)
            if found is None or int(found["result"]) < 0:
                continue
            texts = []
            for text in _TEXT.finditer(found["arguments"]):
                assert not text[2], "strace cut a write short"
                texts.append(bytes.fromhex(text[1].replace("\\x", "")))
            plain = _TEXT.sub('""', found["arguments"])
            yield Operation(found["call"], found["pid"], plain, tuple(texts), int(found["result"]))


class Disk:
    """The files below a folder, as a program sees them and as a power cut leaves them."""

    def __init__(self, folder: Path) -> None:
        self._root = str(folder)
        self._seen: dict[str, File | None] = {}  # path → file, None for a folder
        self._kept: dict[str, File | None] = {}
        self._open: dict[int, tuple[str, File | None, int]] = {}  # handle → path, file, offset

    def apply(self, operation: Operation) -> str | None:
        """Do one operation; give the name when it says that something was done."""
        call, _, arguments, texts, result = operation
        first = int(found[0]) if (found := re.match(r"\d+", arguments)) else -1
        if call in ("write", "writev") and first == 1:
            said = b"".join(texts)
            return said[4:-1].decode() if said.startswith(b"did ") else None
        if call in ("open", "openat", "creat"):
            self._opened(os.fsdecode(texts[0]), arguments, result)
        elif call == "close":
            self._open.pop(first, None)
        elif call in ("mkdir", "mkdirat"):
            if self._ours(path := os.fsdecode(texts[0])):
                self._seen[path] = None
        elif call in ("unlink", "unlinkat", "rmdir"):
            self._seen.pop(os.fsdecode(texts[0]), None)
        elif call.startswith("rename"):
            source, target = map(os.fsdecode, texts)
            if source in self._seen:
                self._seen[target] = self._seen.pop(source)
        elif call == "fcntl":
            if "F_DUPFD" in arguments and first in self._open:
                self._open[result] = self._open[first]
        elif first in self._open:
            self._changed(call, first, operation)
        return None

    def survive(self, folder: Path) -> None:
        """Write what a power cut would leave at this moment."""
        folder.mkdir(mode=0o700)
        for path, file in sorted(self._kept.items()):
            if any(parent not in self._kept for parent in self._parents(path)):
                continue
            target = folder / os.path.relpath(path, self._root)
            if target == folder:
                continue
            if file is None:
                target.mkdir(mode=0o700)
            else:
                target.write_bytes(file.kept)

    def _parents(self, path: str) -> Iterator[str]:
        while (path := os.path.dirname(path)) != self._root and len(path) > len(self._root):
            yield path

    def _ours(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root + "/")

    def _opened(self, path: str, arguments: str, handle: int) -> None:
        self._open.pop(handle, None)
        if not self._ours(path):
            return
        if path not in self._seen and "O_CREAT" in arguments:
            self._seen[path] = File()
        file = self._seen.get(path)
        if file is not None and "O_TRUNC" in arguments:
            file.seen.clear()
        end = len(file.seen) if file is not None and "O_APPEND" in arguments else 0
        self._open[handle] = (path, file, end)

    def _changed(self, call: str, handle: int, operation: Operation) -> None:
        path, file, offset = self._open[handle]
        if call in ("fsync", "fdatasync"):
            if file is not None:
                file.kept = bytes(file.seen)
            else:
                self._sync_folder(path)
        elif file is None:
            return
        elif call == "lseek":
            self._open[handle] = (path, file, operation.result)
        elif call == "ftruncate":
            size = int(operation.arguments.split(",")[1])
            del file.seen[size:]
            file.seen.extend(bytes(size - len(file.seen)))
        elif call == "pwrite64":
            self._write(file, int(operation.arguments.split(",")[-1]), operation.texts[0])
        elif call in ("write", "writev"):
            data = b"".join(operation.texts)[: operation.result]
            self._write(file, offset, data)
            self._open[handle] = (path, file, offset + len(data))
        elif call in ("fallocate", "sendfile", "copy_file_range", "pwritev", "dup", "dup2"):
            raise AssertionError(f"{call} on {path} is not replayed")

    @staticmethod
    def _write(file: File, offset: int, data: bytes) -> None:
        file.seen.extend(bytes(max(offset - len(file.seen), 0)))
        file.seen[offset : offset + len(data)] = data

    def _sync_folder(self, path: str) -> None:
        for name in [each for each in self._kept if os.path.dirname(each) == path]:
            del self._kept[name]
        for name, file in self._seen.items():
            if os.path.dirname(name) == path:
                self._kept[name] = file
