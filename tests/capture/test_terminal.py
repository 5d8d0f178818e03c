"""Terminal IPython, as a person uses it: in a real (pseudo-)terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.capture.journals import all_events, cells, is_anywhere, text_of, the_journal
from tests.capture.stacks import Stack
from tests.conftest import isolated


class Terminal:
    """An IPython in a terminal of 40 lines."""

    def __init__(
        self, folder: Path, *arguments: str, python: str = sys.executable, **more: str
    ) -> None:
        self.count = 1
        self.child = pexpect.spawn(
            python,
            ["-m", "IPython", "--no-banner", "--no-confirm-exit", *arguments],
            env={**isolated(folder), "TERM": "xterm", **more},
            cwd=str(folder),
            encoding="utf-8",
            timeout=60,
            dimensions=(40, 100),
        )
        self._prompt()

    def _prompt(self) -> str:
        self.child.expect(rf"In \[(\x1b\[[0-9;]*m)*{self.count}")
        shown = str(self.child.before)
        self.child.expect(r"\]:")
        return shown

    def cell(self, source: str) -> str:
        """Run a cell and give all that the terminal showed until the next prompt."""
        self.child.send(source + "\r")
        self.count += 1
        return self._prompt()

    def leave(self) -> None:
        """Leave as most do."""
        self.child.send("exit\r")
        self.child.expect(pexpect.EOF)
        self.child.close()


@pytest.fixture(params=["--simple-prompt", "--colors=NoColor"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path, stack: Stack) -> Iterator[Terminal]:
    as_typed = "--TerminalInteractiveShell.autoformatter=None"  # old ones change what is typed
    found = Terminal(tmp_path, request.param, as_typed, python=stack.python)
    yield found
    found.child.close(force=True)


def test_sources_results_prints_displays_and_errors_are_recorded(
    terminal: Terminal, data: Path
) -> None:
    terminal.cell("1 + 1")
    terminal.cell("print('printed')")
    terminal.cell("import sys; n = sys.stderr.write('warned\\n')")
    terminal.cell("from IPython.display import display; display('shown'); 'result'")
    terminal.cell("1 / 0")
    terminal.cell("a b")
    terminal.cell("get_ipython().run_cell('print(7)'); print(8)")
    terminal.leave()
    found = cells(the_journal(data))
    assert [cell["source"] for cell in found[:2]] == ["1 + 1", "print('printed')"]
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    assert found[0]["outputs"] == [
        {
            "output_type": "execute_result",
            "data": {"text/plain": "2"},
            "metadata": {},
            "execution_count": 1,
        }
    ]
    stream: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": "printed\n"}
    assert found[1]["outputs"] == [stream]
    assert found[2]["outputs"] == [{**stream, "name": "stderr", "text": "warned\n"}]
    kinds = [(o["output_type"], o["data"]["text/plain"]) for o in found[3]["outputs"]]
    assert kinds == [("display_data", "'shown'"), ("execute_result", "'result'")]
    assert [o["output_type"] for o in found[4]["outputs"]] == ["error"]
    assert found[4]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert found[4]["metadata"]["codesave"]["status"] == "error"
    assert found[5]["outputs"][0]["ename"] == "SyntaxError"
    assert text_of(found[6]["outputs"]) == "7\n8\n"


def test_what_commands_and_subprocesses_print_is_recorded_in_order(
    terminal: Terminal, data: Path
) -> None:
    shown = terminal.cell("print('a'); get_ipython().system('echo b'); print('c')")
    assert "a\r\nb\r\nc" in shown
    terminal.cell("import subprocess, os; n = subprocess.run(['echo', 'child'])")
    terminal.cell("!echo to stderr >&2")
    terminal.cell("n = os.write(1, b'raw\\n')")
    terminal.cell("!stty -a < /dev/tty | head -1; test -t 1 && echo a terminal")
    terminal.leave()
    found = [cell["outputs"] for cell in cells(the_journal(data))]
    assert text_of(found[0]) == "a\nb\nc\n"
    assert text_of(found[1]) == "child\n"
    assert text_of(found[2], "stderr") == "to stderr\n"
    assert text_of(found[3]) == "raw\n"
    assert "a terminal" in text_of(found[4])


def test_a_print_from_a_thread_belongs_to_the_cell_that_started_it_last(
    terminal: Terminal, data: Path
) -> None:
    late = "t = threading.Thread(target=lambda: (go.wait(), print('late'))); t.start()"
    terminal.cell(f"import threading; go = threading.Event(); {late}")
    terminal.cell("go.set(); t.join()")
    terminal.leave()
    assert text_of(cells(the_journal(data))[1]["outputs"]) == "late\n"


def test_answers_typed_at_a_prompt_are_not_kept(terminal: Terminal, data: Path) -> None:
    terminal.child.send("answer = input('who' '? ')\r")
    terminal.child.expect_exact("who? ")
    terminal.cell("CANARY" + "ROW")
    terminal.cell("answer == 'CANARY' + 'ROW'")
    terminal.leave()
    assert not is_anywhere(data, "CANARYROW")
    (prompt,) = all_events(the_journal(data), "stdin")
    assert prompt["prompt"] == "who? "
    assert prompt["answer"] is None


def test_the_magics_work_and_off_is_off(terminal: Terminal, data: Path) -> None:
    assert "Recording" in terminal.cell("%codesave")
    terminal.cell("%codesave off")
    terminal.cell("print('CANA' 'RY'); 'CANARY'")
    terminal.cell("!echo CANARY")
    assert "Recording" in terminal.cell("%codesave on")
    terminal.cell("'seen'")
    terminal.leave()
    assert not is_anywhere(data, "CANARY")
    assert [cell["source"] for cell in cells(the_journal(data))][-2:] == ["'seen'", "exit"]


def test_leaving_ends_the_session_as_an_exit(terminal: Terminal, data: Path) -> None:
    terminal.cell("1")
    terminal.leave()
    (end,) = all_events(the_journal(data), "session-end")
    assert end["ended_by"] == "exit"
    (session,) = all_events(the_journal(data), "session")
    assert session["kind"] == "terminal"


def test_a_program_from_a_pipe_is_recorded_too(tmp_path: Path, data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"],
        input="print('piped')\n!echo child\n",
        env=isolated(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "piped" in done.stdout
    assert "child" in done.stdout
    found = [text_of(cell["outputs"]) for cell in cells(the_journal(data))]
    assert found[:2] == ["piped\n", "child\n"]


COPYING = """import sys
class Copying:
    def __init__(self, stream): self.stream, self.copy = stream, []
    def write(self, text): self.copy.append(text); return self.stream.write(text)
    def __getattr__(self, name): return getattr(self.stream, name)
sys.stdout = Copying(sys.stdout)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_user_puts_in_place_of_stdout_gets_all_and_it_is_recorded_once(
    when: str, terminal: Terminal, tmp_path: Path, data: Path
) -> None:
    (tmp_path / "copying.py").write_text(COPYING)
    if when == "after":
        terminal.cell("1")
    else:
        terminal.cell("%codesave off")
    terminal.cell("%run -i copying.py")
    terminal.cell("%codesave on")
    terminal.cell("print('first')")
    terminal.cell("print('second'); import os; n = os.system('echo third')")
    terminal.cell("n = sys.stderr.write(repr([x for x in sys.stdout.copy if x.strip()]))")
    terminal.leave()
    found = {cell["source"]: cell["outputs"] for cell in cells(the_journal(data))}
    printed = [text_of(outputs) for source, outputs in found.items() if source.startswith("print")]
    assert printed == ["first\n", "second\nthird\n"]
    (told,) = [text_of(o, "stderr") for source, o in found.items() if source.startswith("n =")]
    assert "'first'" in told
    assert "'second'" in told
