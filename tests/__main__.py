"""Set up what the tests need, then run every kind: `python -m tests [pytest arguments]`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from . import browser

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def steps(arguments: list[str]) -> list[tuple[str, list[str], Path]]:
    """Give the kinds of checks in the order in which they fail fastest."""
    python, extension = sys.executable, ROOT / "labextension"
    return [
        ("ruff, lint", [python, "-m", "ruff", "check", "."], ROOT),
        ("ruff, format", [python, "-m", "ruff", "format", "--check", "."], ROOT),
        ("import-linter", [str(BIN / "lint-imports"), "--no-cache"], ROOT),
        ("mypy", [python, "-m", "mypy"], ROOT),
        ("node packages", [str(BIN / "jlpm"), "install", "--immutable"], extension),
        ("eslint, prettier", [str(BIN / "jlpm"), "lint:check"], extension),
        ("TypeScript tests", [str(BIN / "jlpm"), "test"], extension),
        ("pytest", [python, "-m", "pytest", *arguments], ROOT),
    ]


def main() -> int:
    """Run the steps; the first that fails ends it."""
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["CODESAVE_TEST_BROWSER"] = browser.install()
    begun = time.monotonic()
    for name, command, folder in steps(sys.argv[1:]):
        print(f"== {name}", flush=True)
        code = subprocess.run(command, cwd=folder, check=False).returncode
        print(f"== {name}: {'passed' if code == 0 else f'failed ({code})'}", flush=True)
        if code:
            return code
    print(f"== all passed in {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
