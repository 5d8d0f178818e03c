"""How fast the store is and how small it stays; git, wandb and plain copying measured beside it.

Peers run in the same run on the same files. `--versions DIR` takes the notebook's versions from a
folder (in the order of their names); `--executions N` fills the catalogs with fewer than a million.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_codesave.blobs.batch import Batch
from jupyter_codesave.blobs.local import LocalBlobs
from jupyter_codesave.blobs.statcache import StatCache
from jupyter_codesave.catalog import runs
from jupyter_codesave.ingest import Ingest
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.store import Store
from tests.blobs import servers
from tests.journal import records
from tests.store.made import Place, make_run

Row = tuple[str, str, str]


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks store")
    parser.add_argument("--versions", type=Path)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument(
        "--only", default="", help="tree, versions, verify, large, autosaves, sqlite, postgresql"
    )
    options = parser.parse_args(arguments)
    factor = calibrate()
    tables: dict[str, Callable[[Path], list[Row]]] = {
        "tree": tree,
        "versions": lambda folder: versions(folder, options.versions),
        "verify": verify,
        "large": large,
        "autosaves": autosaves,
        "sqlite": lambda folder: catalog(folder, "SQLite", options.executions),
        "postgresql": lambda folder: catalog(folder, "PostgreSQL", options.executions),
    }
    for name, table in tables.items():
        if options.only in ("", name):
            with tempfile.TemporaryDirectory() as folder:
                for what, found, limit in table(Path(folder)):
                    print(f"{what:<66} {found:>22}   {limit}", flush=True)
    print(f"(limits on seconds are for a machine of factor 1; this one: {factor:.2f})")


def calibrate() -> float:
    """Tell how much slower this machine is than the one the limits are for."""
    data = bytes(64 << 20)
    text = json.dumps([{"key": n, "text": "word " * 20} for n in range(40_000)])
    sha = min(seconds(lambda: hashlib.sha256(data)) for _ in range(5))
    parse = min(seconds(lambda: json.loads(text)) for _ in range(5)) * 5e6 / len(text)
    factor = max(1.0, (sha / 0.06 + parse / 0.02) / 2)
    print(f"calibration: sha256 of 64 MB {sha:.3f} s, json of 5 MB {parse:.3f} s")
    return factor


def seconds(work: Callable[[], object], *, cpu: bool = True) -> float:
    """Take the CPU (or wall) time of some work, all threads of this process."""
    clock = time.process_time if cpu else time.perf_counter
    begun = clock()
    work()
    return clock() - begun


def both(work: Callable[[], object]) -> tuple[float, float]:
    """Take the CPU time and the wall time of some work."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def best(work: Callable[[], object], *, cpu: bool = True) -> float:
    """Take the best of five."""
    return min(seconds(work, cpu=cpu) for _ in range(5))


# -- a tree of 10,000 files -----------------------------------------------------------------------


def make_tree(folder: Path, files: int = 10_000, size: int = 12_400) -> None:
    """Write source files: 100 folders, lines of code that repeat as code does."""
    chance = random.Random(7)
    names = [f"name_{n}" for n in range(400)]
    for number in range(files):
        place = folder / f"package{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        lines, length = [], 0
        while length < size:
            a, b, c = chance.choices(names, k=3)
            lines.append(f"    {a} = {b}({c}, {chance.random():.6f})\n")
            length += len(lines[-1])
        (place / f"module{number}.py").write_text("".join(lines))
    os.sync()
    then = time.time() - 3600
    for path in folder.rglob("*.py"):
        os.utime(path, (then, then))


def log_code(store: Store, spool: LocalBlobs, root: Path) -> None:
    """Bring a tree into the store as log_code and ingest do: hash, spool, adopt, commit."""
    cache = StatCache(spool.folder, root)
    entries: dict[str, Entry] = {}
    with Batch(spool) as batch:
        for folder, _, names in os.walk(root):
            prefix = folder[len(str(root)) + 1 :]
            for name in names:
                path, relative = f"{folder}/{name}", f"{prefix}/{name}"
                status = os.stat(path)
                digest = cache.get(relative, status)
                if digest is None:
                    with open(path, "rb") as file:
                        digest = batch.put(file.read())
                    cache.note(relative, status, digest)
                entries[relative] = Entry(digest, status.st_size)
    cache.save()
    missing = store.adopt(spool, {entry.digest for entry in entries.values()})
    assert not missing
    store.write(commit={"code": Manifest(entries)})


def tree(folder: Path) -> list[Row]:
    """log_code of 10,000 files, the first time and again, next to git and wandb."""
    root = folder / "tree"
    make_tree(root)
    time.sleep(2.1)  # what changed within two seconds is never trusted, by anybody's cache
    first, again = [], []
    for number in range(5):
        with Place(folder / f"data{number}").open() as store:
            spool = LocalBlobs(folder / f"spool{number}")
            work = functools.partial(log_code, store, spool, root)
            first.append(both(work))
            again += [both(work) for _ in range(3)]
    git = [float("inf")] * 2
    for _ in range(2):
        shutil.rmtree(root / ".git", ignore_errors=True)
        run_git(root, "init", "-q")
        git[0] = min(git[0], seconds(lambda: run_git(root, "add", "."), cpu=False))
        git[1] = min(
            git[1], *(seconds(lambda: run_git(root, "add", "."), cpu=False) for _ in "123")
        )
    shutil.rmtree(root / ".git")
    return [
        ("log_code of 10,000 files (124 MB) to commit, CPU (wall) s", spelled(first), "≤ 1.5"),
        ("the same again, CPU (wall) s", spelled(again), "≤ 0.2"),
        ("git add, cold, wall s", f"{git[0]:.2f}", ""),
        ("git add, warm, wall s", f"{git[1]:.3f}", ""),
        ("wandb log_code, first and again, wall s", wandb(root, folder), "7 each (facts)"),
    ]


def spelled(times: list[tuple[float, float]]) -> str:
    """Spell the best CPU and the best wall time."""
    return f"{min(cpu for cpu, _ in times):.3f} ({min(wall for _, wall in times):.3f})"


def wandb(root: Path, folder: Path) -> str:
    """Measure wandb's log_code, offline, where wandb is installed."""
    code = (
        "import sys, time, wandb\n"
        "run = wandb.init(mode='offline', project='p', settings=wandb.Settings(silent=True))\n"
        "for _ in range(2):\n"
        "    begun = time.perf_counter(); run.log_code(sys.argv[1])\n"
        "    print(round(time.perf_counter() - begun, 2))\n"
        "run.finish()\n"
    )
    python = os.environ.get("CODESAVE_BENCHMARK_WANDB_PYTHON", sys.executable)
    environ = {**os.environ, "WANDB_DIR": str(folder), "HOME": str(folder), "WANDB_SILENT": "true"}
    command = [python, "-c", code, str(root)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ)
    return " and ".join(found.stdout.split()) if found.returncode == 0 else "not installed"


def run_git(folder: Path, *words: str) -> None:
    """Run git, with no configuration of the user's."""
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", *identity, *words], cwd=folder, env=environ, check=True)


# -- versions of a notebook -----------------------------------------------------------------------


def some_versions(count: int = 100) -> Iterator[bytes]:
    """Make versions of a notebook as work makes them: cells change, figures are redrawn."""
    chance = random.Random(11)
    words = [f"{a}_{b}" for a in ("train", "loss", "data", "model", "axis") for b in range(40)]

    def source() -> list[str]:
        return [f"{chance.choice(words)} = {chance.choice(words)}({n})\n" for n in range(12)]

    def figure() -> str:
        return base64.b64encode(chance.randbytes(chance.randint(15_000, 60_000))).decode()

    cells: list[dict[str, Any]] = []
    for version in range(count):
        for _ in range(1 if version else 20):
            cells.append(
                {"source": source(), "figure": figure() if chance.random() < 0.4 else None}
            )
        for cell in chance.sample(cells, k=2):
            cell["source"][chance.randrange(12)] = f"{chance.choice(words)} = {version}\n"
            if cell["figure"] and chance.random() < 0.5:
                cell["figure"] = figure()
        yield dump(cells)


def dump(cells: list[dict[str, Any]]) -> bytes:
    """Spell a notebook with these cells."""
    whole = []
    for number, cell in enumerate(cells, 1):
        outputs: list[dict[str, Any]] = []
        if cell["figure"]:
            data = {"image/png": cell["figure"], "text/plain": ["<Figure>"]}
            outputs = [{"output_type": "display_data", "metadata": {}, "data": data}]
        metadata = {"codesave": {"execution": number}}
        whole.append(
            {
                "cell_type": "code",
                "id": f"c{number}",
                "execution_count": number,
                "metadata": metadata,
                "source": cell["source"],
                "outputs": outputs,
            }
        )
    book = {"cells": whole, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1).encode() + b"\n"


def versions(folder: Path, given: Path | None) -> list[Row]:
    """100 versions of a notebook with images: what they take, and how fast one is read."""
    made = [p.read_bytes() for p in sorted(given.iterdir())] if given else list(some_versions())
    raw = sum(map(len, made))
    repository = folder / "git"
    repository.mkdir()
    run_git(repository, "init", "-q")
    for data in made:
        (repository / "notebook.ipynb").write_bytes(data)
        run_git(repository, "add", ".")
        run_git(repository, "commit", "-q", "--allow-empty", "-m", "version")
    run_git(repository, "gc", "-q", "--aggressive", "--prune=now")
    packed = sum(p.stat().st_size for p in (repository / ".git" / "objects").rglob("*.pack"))
    with Place(folder / "data").open() as store:
        wrote = []
        for data in made:
            entries = {SESSION_NOTEBOOK: Entry(store.put(data), len(data))}
            wrote.append(seconds(lambda e=entries: store.write(commit={"art": Manifest(e)})))
        taken = sum(p.stat().st_size for p in (store.folder / "blobs").rglob("*") if p.is_file())

    def read(store: Store, number: int) -> None:
        manifest = store.manifest(store.version("art", f"v{number}").digest)
        for _, entry in manifest:
            store.get(entry.digest)

    with Place(folder / "data").open() as store:
        last = len(store.artifacts()[0].versions) - 1
        for number in range(0, last, 10):
            assert (
                store.get(
                    store.manifest(store.version("art", f"v{number}").digest)
                    .entries[SESSION_NOTEBOOK]
                    .digest
                )
                == made[number]
                or given
            )
        reads = [best(lambda n=n: read(store, n)) for n in range(0, last + 1, 7)]
    return [
        (f"{len(made)} versions of a notebook, raw copies, MB", f"{raw / 1e6:.1f}", ""),
        ("what git packs them to, MB", f"{packed / 1e6:.2f}", ""),
        (
            "what the store takes, MB (of git's, of raw)",
            f"{taken / 1e6:.2f} ({taken / packed:.2f}, 1/{raw / taken:.0f})",
            "≤ 1.2 × git, ≤ 1/10 raw",
        ),
        ("write a version, CPU ms, median", f"{1e3 * sorted(wrote)[len(wrote) // 2]:.1f}", ""),
        (
            "read a version, CPU ms, median and worst",
            f"{1e3 * sorted(reads)[len(reads) // 2]:.1f}, {1e3 * max(reads):.1f}",
            "≤ 5",
        ),
    ]


# -- verify, large files --------------------------------------------------------------------------


def verify(folder: Path) -> list[Row]:
    """Re-read and re-hash everything."""
    with Place(folder / "data").open() as store:
        size = 0
        for number, data in enumerate(some_versions(150)):
            entries = {SESSION_NOTEBOOK: Entry(store.put(data), len(data))}
            large = os.urandom(2 << 20)
            entries["model.bin"] = Entry(store.put(large), len(large))
            store.write(commit={f"art{number % 5}": Manifest(entries)})
            size += len(data) + len(large)
        stored = store.size()
        took = best(store.verify)
        assert not store.verify()["damaged"]
    return [
        ("verify, MB/s of stored bytes", f"{stored / took / 1e6:.0f}", "≥ 200"),
        ("verify, MB/s of what they decode to", f"{size / took / 1e6:.0f}", ""),
    ]


def large(folder: Path) -> list[Row]:
    """Store a file of 1 GiB, next to copying and hashing it once."""
    rows: list[Row] = []
    path = folder / "large"
    with path.open("wb") as file:
        for _ in range(128):
            file.write(os.urandom(8 << 20))
    pairs = []
    for number in range(3):
        copy = folder / "copy"
        plain = both(functools.partial(copy_and_hash, path, copy))
        copy.unlink()
        with Place(folder / f"data{number}").open() as store:
            store.put(b"warm")
            store.flush()
            ours = both(functools.partial(store.put_file, path))
        shutil.rmtree(folder / f"data{number}")
        pairs.append((plain, ours))
    plain, ours = zip(*pairs, strict=True)
    cpu = min(each[0] for each in plain) / min(each[0] for each in ours)
    wall = min(each[1] for each in plain) / min(each[1] for each in ours)
    code = (
        "import re, sys; from pathlib import Path; from tests.store.made import Place\n"
        # Not ru_maxrss: a child begins with its parent's.
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "store = Place(Path(sys.argv[1])).open(); store.put(b'x'); store.flush()\n"
        "before = peak(); store.put_file(sys.argv[2]); print(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(folder / "memory"), str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.getcwd())
    rows.append(("copy and hash 1 GiB, synced, CPU (wall) s", spelled(list(plain)), ""))
    rows.append(("store it, CPU (wall) s", spelled(list(ours)), ""))
    rows.append(("speed of that of copying, CPU (wall)", f"{cpu:.2f} ({wall:.2f})", "≥ 0.8 ×"))
    rows.append(("memory that takes, MB", f"{int(found.stdout) / 1024:.0f}", "≤ 64"))
    return rows


def copy_and_hash(source: Path, target: Path) -> None:
    """Copy a file, hash it on the way, and sync it, as safely as the store and no more."""
    sha, buffer = hashlib.sha256(), bytearray(1 << 20)
    with source.open("rb", buffering=0) as read, target.open("wb", buffering=0) as write:
        while count := read.readinto(buffer):
            sha.update(memoryview(buffer)[:count])
            write.write(memoryview(buffer)[:count])
        os.fsync(write.fileno())


# -- ingest ---------------------------------------------------------------------------------------


def autosaves(folder: Path) -> list[Row]:
    """500 autosaves while 2,000 executions happen, next to one ingest of it all."""
    whole = records.journal_bytes(a_session(2000))
    bounds = boundaries(whole)
    ends = [bounds[(len(bounds) - 1) * n // 500] for n in range(1, 501)]
    ingested(folder / "warm", records.journal_bytes(a_session(10)), [])
    once, often = [], []
    for number in range(3):
        once.append(ingested(folder / f"once{number}", whole, [len(whole)]))
        often.append(ingested(folder / f"often{number}", whole, ends))
    return [
        ("one ingest of 2,000 executions, CPU s", f"{min(once):.2f}", ""),
        (
            "500 autosaves during them, CPU s (times one)",
            f"{min(often):.2f} ({min(often) / min(once):.2f})",
            "≤ 2 ×",
        ),
    ]


def a_session(executions: int) -> list[Any]:
    """Make the records of a session: its code and packages, then prints, and some pictures."""
    chance = random.Random(3)
    picture = base64.b64encode(chance.randbytes(20_000)).decode()
    packages = {f"package-{n}": f"1.{n}.0" for n in range(300)}
    blob = "sha256:" + "0" * 64  # not in the spool: what a step costs that finds nothing new
    code = [{"path": f"own/module{n}.py", "digest": blob, "size": 5} for n in range(50)]
    items: list[Any] = [records.session("many"), records.run()]
    items.append(("environment", {"run": "run1", "python": "3.11", "packages": packages}))
    items.append(("git", {"run": "run1", "commit": "abc", "branch": "main", "dirty": False}))
    items.append(("code", {"run": "run1", "files": code}))
    for n in range(executions):
        key = f"key{n}"
        items.append(records.execute_input(f"value_{n} = compute({n})\nplot(value_{n})", n, key))
        items.append(records.stream(f"result {n}\n", key=key))
        if n % 10 == 0:
            content = {"data": {"image/png": picture}, "metadata": {}}
            items.append(records.message("display_data", content, key))
        items.append(records.idle(key))
    return [*items, ("session-end", {"ended_by": "shutdown", "exit_code": 0})]


def boundaries(journal: bytes) -> list[int]:
    """Give the ends of a journal's records."""
    from jupyter_codesave.journal import events

    at, found = len(events.MAGIC), []
    while at < len(journal):
        length = events.HEADER.unpack_from(journal, at)[-1]
        at += events.HEADER.size + length
        found.append(at)
    return found


def ingested(folder: Path, journal: bytes, ends: list[int]) -> float:
    """Ingest a journal as it grows to each of `ends`, and seal it; give the CPU time."""
    with Place(folder).open() as store:
        path = folder / "journal" / "many.journal"
        path.parent.mkdir()
        ingest = Ingest(store)
        took, written = 0.0, 0
        # a writer that is alive: the session goes on until all is written
        with path.open("wb") as file, alive(path):
            for end in [*ends, len(journal)]:
                file.write(journal[written:end])
                file.flush()
                written = end
                took += seconds(lambda: ingest.step(path))
        assert not path.exists()
        assert store.run("run1").executions
    return took


@contextmanager
def alive(path: Path) -> Iterator[None]:
    """Hold a journal as its writer does."""
    from jupyter_codesave.ingest import session

    real = session.is_alive
    session.is_alive = lambda _: True
    try:
        yield
    finally:
        session.is_alive = real


# -- catalogs ---------------------------------------------------------------------------------


def catalog(folder: Path, name: str, count: int) -> list[Row]:
    """List and search 100,000 runs with a million executions."""
    values = {"database_url": servers.postgresql()} if name == "PostgreSQL" else {}
    with Place(folder, values).open() as store:
        took = seconds(lambda: fill(store, count), cpu=False)
        wrote = (f"{name}: {count:,} executions written, s", f"{took:.0f}", "")
        return [wrote, *measured(store, name)]


def fill(store: Store, count: int) -> None:
    """Write runs of ten executions; every source is a new one."""
    chance = random.Random(5)
    names = [f"{a}_{b}" for a in ("train", "load", "plot", "fit", "split") for b in range(2000)]
    for first in range(0, count, 10_000):
        with store.catalog.write() as tx:
            made = []
            for number in range(first, min(first + 10_000, count), 10):
                started = f"2026-01-01T{number // 36000:06}.{number % 36000:06}Z"
                run = make_run(
                    id=f"r{number:09}",
                    started=started,
                    project=f"project{number // 10 % 50}",
                    notebook=f"/home/ann/{number // 10 % 300}/book.ipynb",
                )
                runs.put(tx, run, None)
                for n in range(1, 11):
                    a, b, c = chance.choices(names, k=3)
                    source = (
                        f"{a} = {b}(lr = 3e-4, step={number + n})\nshow({c})\nimport numpy as np"
                    )
                    if (number + n) % 50_000 == 1:
                        source += "\nneedle_in_haystack(1)\nGröße = zähle(7)"
                    made.append(Execution(run.id, n, f"k{n}", source, started=started))
            runs.put_executions(tx, made)
    if not isinstance(store.catalog.place, Path):
        with store.catalog.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def measured(store: Store, name: str) -> list[Row]:
    """Time a page of a listing, and searches."""
    page = store.runs(limit=50)
    deep = page.next
    for _ in range(20):
        deep = store.runs(limit=50, cursor=deep).next
    listings = {
        "newest": lambda: store.runs(limit=50),
        "a later page": lambda: store.runs(limit=50, cursor=deep),
        "of a project": lambda: store.runs(limit=50, project="project7"),
        "of a notebook": lambda: store.runs(limit=50, notebook="/home/ann/77/book.ipynb"),
        "of a name's end": lambda: store.runs(limit=50, notebook="77/book.ipynb"),
        "with q": lambda: store.runs(limit=50, q="project7"),
    }
    searches = {
        text: lambda text=text: store.search(text, limit=50)
        for text in (
            "needle_in_haystack",
            "lr=3e-4",
            "train_77 =",
            "import numpy",
            "step=123456",
            "plot_1999",
            "größe = zähle(7)",
            "np",
            "absent_everywhere",
            "absent_lr=3e-4, step=1",
            "Ω",
            "qz",
        )
    }
    found = [(f"{name}: list {what}", work, "≤ 20") for what, work in listings.items()]
    found += [(f"{name}: search {what!r}", work, "≤ 50") for what, work in searches.items()]
    return [
        (f"{what}, wall ms", f"{1e3 * best(work, cpu=False):.1f}", limit)
        for what, work, limit in found
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
