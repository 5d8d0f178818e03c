"""Blows that a store must withstand: kill -9, races, power cuts. Each raises when it does not.

Processes at work say `did NAME` on their standard output once a write has been acknowledged.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from jupyter_codesave.store import Store
from tests.store import power
from tests.store.made import Place


class NotWholeError(AssertionError):
    """Something that was acknowledged is gone, or damaged."""


KINDS = ("commit", "ingest", "gc", "migration")
_ROOT = Path(__file__).parents[2]
_HEAD = """
import os, random, sys, time
from pathlib import Path
from jupyter_codesave.model.manifest import Entry, Manifest
from tests.store.made import Place, image, make_run, notebook, record
folder = Path(sys.argv[1])
def did(name):
    os.write(1, f"did {name}\\n".encode())
"""
_WORK = {
    "commit": """
with Place(folder).open() as store:
    did("open")
    while True:
        large = {"large": os.urandom(1_200_000)} if random.random() < 0.1 else None
        run, _ = record(store, picture=image(3000), saved=large)
        did(run.id)
""",
    "ingest": """
from jupyter_codesave.ingest import Ingest
from tests.journal import records
with Place(folder).open() as store:
    did("open")
    ingest = Ingest(store)
    for path in sorted((folder / "journal").glob("*.journal")):
        ingest.step(path)
    while True:
        name = "s" + os.urandom(5).hex()
        run = "r" + os.urandom(5).hex()
        items = [records.session(name), records.run(run)]
        for n in range(20):
            items.append(records.execute_input(f"value = {n}", n, f"{name}-{n}"))
            items.append(records.stream(f"{n} " * 500, key=f"{name}-{n}"))
            items.append(records.idle(f"{name}-{n}"))
        path = records.write(folder / "journal" / f"{name}.journal", items)
        ingest.step(path)
        did(run)
""",
    "gc": """
with Place(folder).open() as store:
    def litter():
        store.put(os.urandom(3000))
        store.put(os.urandom(1_200_000))
        store.flush()
    for _ in range(6):
        litter()
    did("open")
    while True:
        store.gc(grace=-1)
        run, _ = record(store, picture=image(3000))
        did(run.id)
        gone, _ = record(store, picture=image(3000))
        store.purge(runs=[gone.id])
        litter()
""",
    "migration": """
did("open")
place = folder / ("new" + os.urandom(5).hex())
while True:
    with Place(place).open() as store:
        run, _ = record(store)
    place = folder / ("new" + os.urandom(5).hex())
""",
}
_WRITER = """
with Place(folder).open() as store:
    did("open")
    shared = [image(2000, seed=n) for n in range(8)]
    chance = random.Random(int(sys.argv[2]))
    until = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < until:
        picture = chance.choice(shared)
        data = notebook([f"x = {chance.random()}"], "", picture)
        entries = {"a.ipynb": Entry(store.put(data), len(data))}
        entries["p.png"] = Entry(store.put(picture), len(picture))
        (version,) = store.write(commit={f"art{sys.argv[2]}": Manifest(entries)})
        did(version.reference)
        if chance.random() < 0.3:
            time.sleep(chance.random() * 3)
"""


def start(
    folder: Path, work: str, *arguments: str, trace: Path | None = None
) -> subprocess.Popen[str]:
    """Start a process that works on the store in `folder`, and wait until it is at work."""
    command = [sys.executable, "-c", _HEAD + work, str(folder), *arguments]
    if trace is not None:
        command = [*power.traced(trace), *command]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != "did open\n":
        raise AssertionError(process.stderr.read())
    return process


def acknowledged(process: subprocess.Popen[str]) -> list[str]:
    """Read what a process said it had done until it died."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines(keepends=True)
    return [line[4:-1] for line in lines if line.startswith("did ") and line.endswith("\n")]


def kill(folder: Path, kind: str, times: int, chance: random.Random) -> dict[str, int]:
    """Kill a working process again and again; after each, all it acknowledged must be there."""
    done: list[str] = []
    stores = 0
    for _ in range(times):
        process = start(folder, _WORK[kind])
        time.sleep(chance.random() ** 2)  # the kill must come at any moment of the work
        process.send_signal(signal.SIGKILL)
        new = acknowledged(process)
        process.wait()
        done += new
        places = sorted(folder.glob("new*")) if kind == "migration" else [folder]
        for place in places:
            with Place(place).open() as store:
                whole(store)
                for run_id in new if kind != "migration" else ():
                    assert store.run(run_id).id == run_id
                stores += 1
            if kind == "migration":
                shutil.rmtree(place)
    if kind != "migration":
        with Place(folder).open() as store:
            for run_id in done:
                store.run(run_id)
    return {"kills": times, "acknowledged": len(done), "stores verified": stores}


def race(folder: Path, *, writers: int, seconds: float, grace: float = 2) -> dict[str, int]:
    """Let writers reuse each other's blobs while garbage is collected with little grace."""
    Place(folder).open().close()
    started = [start(folder, _WRITER, str(n), str(seconds)) for n in range(writers)]
    collected = {"collections": 0, "blobs collected": 0}
    with Place(folder).open() as store:
        while any(process.poll() is None for process in started):
            collected["blobs collected"] += store.gc(grace=grace)["blobs"]
            collected["collections"] += 1
            store.put(os.urandom(3000))
            store.flush()
    made = 0
    for process in started:
        assert process.stderr is not None
        error = process.stderr.read()
        assert process.wait() == 0, error
        made += len(acknowledged(process))
    with Place(folder).open() as store:
        whole(store)
        assert sum(len(artifact.versions) for artifact in store.artifacts()) == made
    return {"versions": made, **collected}


def cut_power(
    folder: Path, commits: int, *, cuts: int, chance: random.Random, sabotage: str = ""
) -> dict[str, int]:
    """Record all file operations of a writer; keep what was synced at any moment, and no more.

    At each cut every commit that had been acknowledged by then must be there. `sabotage` is run
    by the writer first: to see that this notices.
    """
    data, log = folder / "data", folder / "trace"
    work = sabotage + _WORK["commit"].replace("while True", f"for _ in range({commits})")
    process = start(data, work, trace=log)
    assert len(acknowledged(process)) == commits
    process.wait()
    disk = power.Disk(data)
    operations = list(power.operations(log))
    moments = sorted({len(operations), *(chance.randrange(len(operations)) for _ in range(cuts))})
    said: list[str] = []
    checked = 0
    for at, operation in enumerate(operations, 1):
        if (name := disk.apply(operation)) is not None:
            said.append(name)
        if at in moments and said:
            place = folder / "after"
            disk.survive(place)
            with Place(place).open() as store:
                whole(store)
                there = {run.id for run in store.runs(limit=commits + 10).items}
                lost = [name for name in said if name != "open" and name not in there]
                if lost:
                    raise NotWholeError(f"lost after operation {at}: {lost}")
            shutil.rmtree(place)
            checked += 1
    assert len(said) == commits + 1
    return {"commits": commits, "cuts": checked, "operations": len(operations)}


def whole(store: Store) -> None:
    """Raise unless `verify` calls the store whole."""
    found = store.verify()
    wrong = [*found["damaged"], *found["missing"], *found["repaired"]]
    if wrong:
        raise NotWholeError(str(wrong))
