"""Set up what the tests need, then run every kind: `python -m tests [pytest arguments]`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from . import browser

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def steps() -> list[tuple[str, list[str], Path]]:
    """Give the kinds of checks, the quick ones first."""
    python, extension = sys.executable, ROOT / "labextension"
    return [
        ("ruff, lint", [python, "-m", "ruff", "check", "."], ROOT),
        ("ruff, format", [python, "-m", "ruff", "format", "--check", "."], ROOT),
        ("import-linter", [str(BIN / "lint-imports"), "--no-cache"], ROOT),
        ("mypy", [python, "-m", "mypy"], ROOT),
        ("node packages", [str(BIN / "jlpm"), "install", "--immutable"], extension),
        ("eslint, prettier", [str(BIN / "jlpm"), "lint:check"], extension),
        ("TypeScript tests", [str(BIN / "jlpm"), "test"], extension),
    ]


# Tests mostly wait, for kernels, browsers and servers: two runs beside each other share two cores.
# What needs the oldest kernels, PostgreSQL and the object stores is in the first.
BESIDE = ("capture", "blobs", "catalog", "store")


def run_pytest(arguments: list[str]) -> bool:
    """Run the tests, in two runs beside each other when no arguments are given."""
    if arguments:
        return _run("all", arguments).wait() == 0
    folders = [f"tests/{name}" for name in BESIDE]
    return run_beside([f"--ignore={folder}" for folder in folders], folders)


def run_beside(rest: list[str], beside: list[str]) -> bool:
    """Run tests; on a noisy machine, what failed gets one second run, and both are shown.

    A test that fails twice fails. A run that was interrupted, or broke down, has not told what
    failed: it gets no second one.
    """
    parts = {"rest": rest, "beside": beside}
    with tempfile.TemporaryFile() as output:
        running = {"rest": _run("rest", rest)}
        running["beside"] = _run("beside", beside, stdout=output, stderr=output)
        codes = {name: process.wait() for name, process in running.items()}
        output.seek(0)
        print("== pytest, what ran beside it", flush=True)
        shutil.copyfileobj(output, sys.stdout.buffer)
        sys.stdout.flush()
    for name, code in codes.items():
        if code == pytest.ExitCode.TESTS_FAILED:
            print("== pytest, once more what failed", flush=True)
            again = [*parts[name], "--last-failed", "--last-failed-no-failures=none"]
            codes[name] = _run(name, again).wait()
        elif code:
            print(f"== pytest, {name}: interrupted or broken (exit code {code})", flush=True)
    return not any(codes.values())


def _run(name: str, arguments: list[str], **streams: Any) -> subprocess.Popen[bytes]:
    cache = f"cache_dir=.pytest_cache/{name}"
    command = [sys.executable, "-m", "pytest", "-o", cache, *arguments]
    return subprocess.Popen(command, cwd=ROOT, **streams)


def main() -> int:
    """Run the steps, all of them, and say in the end which failed."""
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["CODESAVE_TEST_BROWSER"] = browser.install()
    begun = time.monotonic()
    failed = []
    for name, command, folder in steps():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=folder, check=False).returncode:
            failed.append(name)
    print("== pytest", flush=True)
    if not run_pytest(sys.argv[1:]):
        failed.append("pytest")
    minutes = (time.monotonic() - begun) / 60
    print(f"== {', '.join(failed)} failed" if failed else "== all passed", end=" ")
    print(f"in {minutes:.1f} minutes", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
