"""The store under blows: killed, raced, its power cut; every time it must be whole.

And bytes of its catalog are flipped: each is told of by `verify`, or changes nothing that is said.
`--kills N`, `--seconds N`, `--commits N` and `--flips N` change the counts (200, 60, 300, 5000).
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from tests.store import blows, flips


def main(arguments: list[str]) -> None:
    """Run every loop; any loss ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance store")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--commits", type=int, default=300)
    parser.add_argument("--flips", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30))
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    print(f"store: seed {options.seed}", flush=True)
    begun = time.monotonic()
    for kind in blows.KINDS:
        with tempfile.TemporaryDirectory() as folder:
            counts = blows.kill(Path(folder), kind, options.kills // len(blows.KINDS), chance)
        print(f"kill -9 during {kind}: {counts}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        counts = blows.race(Path(folder), writers=4, seconds=options.seconds)
    print(f"gc racing 4 writers for {options.seconds} s: {counts}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        counts = blows.cut_power(Path(folder), options.commits, cuts=40, chance=chance)
    print(f"power cuts: {counts}", flush=True)
    place = Path(tempfile.mkdtemp())  # it stays where a flip was missed, to see it again
    flips.build(place)
    counts = flips.flip(place, options.flips, chance)
    shutil.rmtree(place)
    print(f"flipped bytes of the catalog: {counts}", flush=True)
    print(f"the store was whole every time, {(time.monotonic() - begun) / 60:.1f} minutes")
