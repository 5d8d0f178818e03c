"""Kill kernels and scripts at random moments, in full: 200 kernels, 60 scripts, 50 live savers.

Then large outputs, a million prints among them, on both stacks.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.capture.killing import WAYS, kill_a_kernel, kill_a_live_saver, kill_a_script


def repeat(what: str, count: int, seed: int, once: Callable[[Path, int], None]) -> None:
    """Do `once` in `count` fresh folders; the first loss ends it, and its folder stays."""
    began = time.monotonic()
    for number in range(count):
        folder = Path(tempfile.mkdtemp(prefix="codesave-endurance-"))
        try:
            once(folder, seed + number)
        except BaseException:
            print(f"{what}: number {number}, seed {seed + number}, is in {folder}", flush=True)
            raise
        shutil.rmtree(folder)
    print(f"{what}: {count}, nothing lost, {time.monotonic() - began:.0f} s", flush=True)


def main(arguments: list[str]) -> None:
    """Run the loops of capture."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance capture", description=__doc__)
    parser.add_argument("--kernels", type=int, default=200)
    parser.add_argument("--scripts", type=int, default=60)
    parser.add_argument("--savers", type=int, default=50)
    parser.add_argument("--prints", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}")

    def way(seed: int) -> str:
        return WAYS[seed % len(WAYS)]

    def kernel(folder: Path, seed: int) -> None:
        kill_a_kernel(folder, seed, way(seed))

    def script(folder: Path, seed: int) -> None:
        kill_a_script(folder, seed, way(seed))

    repeat("killed kernels", chosen.kernels, chosen.seed, kernel)
    repeat("killed scripts", chosen.scripts, chosen.seed, script)
    repeat("killed while saving live", chosen.savers, chosen.seed, kill_a_live_saver)
    if chosen.prints:
        large = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/capture/test_outputs.py",
            "-k",
            "large",
        ]
        scaled = {**os.environ, "CODESAVE_TEST_SCALE": str(chosen.prints / 100_000)}
        subprocess.run(large, env=scaled, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
