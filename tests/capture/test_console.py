"""What is written to a script's streams is recorded once, whatever signal comes in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.capture.journals import cells, text_of, the_journal
from tests.conftest import isolated

PROGRAM = """
import json, signal, sys
import jupyter_codesave
from jupyter_codesave.capture import console
from tests.journal.test_writer import Moment

does, told = sys.argv[1:]
jupyter_codesave.init()
number, came, interrupted, returned = 0, True, 0, []

def write(name, stream):
    stream.write(f"{name}{number} ")
    returned.append(f"{name}{number}")

def work():
    write("a", sys.stdout)
    write("b", sys.stderr)
    write("c", sys.stdout)
    write("d", sys.stderr)

def handle(*_):
    if does != "interrupts":
        write("handler", sys.stdout)
    if does != "writes":
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, handle)
while came:
    number += 1
    moment = Moment(work, number, console.__file__)
    came = moment.came
    interrupted += moment.interrupted
with open(told, "w") as file:
    json.dump([number, interrupted, returned], file)
"""


@pytest.mark.parametrize("does", ["interrupts", "writes", "both"])
def test_what_was_written_is_recorded_once_whenever_a_signal_comes(
    does: str, tmp_path: Path, data: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    told = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), does, str(told)],
        env=isolated(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    number, interrupted, returned = json.loads(told.read_text())
    assert number > 100
    assert (interrupted > 100) == (does != "writes")
    (cell,) = cells(the_journal(data))
    counts = Counter(
        word for name in ("stdout", "stderr") for word in text_of(cell["outputs"], name).split()
    )
    assert [word for word in returned if counts[word] != 1] == []
    assert set(counts.values()) == {1}
