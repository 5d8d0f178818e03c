"""`python -m tests` says that all passed when all passed, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FIRST_TIME = """
import os
from pathlib import Path

def test_once():
    seen = Path(__file__).with_suffix(".seen")
    if not seen.exists():
        seen.touch()
        {}
"""


@pytest.mark.parametrize(
    ("happens", "part", "passes"),
    [
        ("assert False", 0, True),
        ("raise KeyboardInterrupt", 0, False),
        ("raise KeyboardInterrupt", 1, False),
        ("os.kill(os.getpid(), 9)", 1, False),
    ],
)
def test_a_second_run_excuses_what_failed_but_no_interrupt_and_no_crash(
    tmp_path: Path, happens: str, part: int, passes: bool
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for number in range(2):
        code = FIRST_TIME.format(happens if number == part else "pass")
        (tmp_path / f"test_{number}.py").write_text(code)
    files = [[str(tmp_path / f"test_{number}.py")] for number in range(2)]
    code = f"import sys; from tests.__main__ import run_beside; sys.exit(not run_beside(*{files}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert ("interrupted or broken" in done.stdout) is not passes
