"""Terminal IPython, as a person uses it: in a real (pseudo-)terminal."""

from __future__ import annotations

import os
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

    def key(self, key: str) -> str:
        """Press a key, without Enter, that ends what the cell runs."""
        self.child.send(key)
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


@pytest.fixture(params=["--simple-prompt", "--colors=NoColor"])
def newest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path, request.param, "--TerminalInteractiveShell.autoformatter=None")
    yield found
    found.child.close(force=True)


@pytest.fixture
def simple(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path, "--simple-prompt")
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


def piped(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Have IPython read a program where there is no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"],
        input=program,
        env=isolated(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_program_from_a_pipe_is_recorded_too(tmp_path: Path, data: Path) -> None:
    done = piped(tmp_path, "print('piped')\n!echo child\n")
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


DRAWING = """import curses
def draw(screen):
    screen.addstr("now draws"); screen.refresh()
    while (key := screen.getch()) == curses.KEY_RESIZE:
        screen.addstr(0, 0, "%d by %d" % screen.getmaxyx()); screen.refresh()
    open("key", "w").write(chr(key))
curses.wrapper(draw)
"""
ATTRIBUTES = "!stty -g < /dev/tty"


@pytest.mark.parametrize("start", ["%run drawing.py", f"!{sys.executable} drawing.py"])
def test_a_program_that_draws_gets_each_key_and_leaves_the_terminal_as_it_was(
    start: str, newest: Terminal, tmp_path: Path, data: Path
) -> None:
    (tmp_path / "drawing.py").write_text(DRAWING)
    newest.cell(ATTRIBUTES)
    newest.child.send(start + "\r")
    newest.child.expect_exact("now draws")
    newest.child.setwinsize(30, 90)
    newest.child.expect_exact("30 by 90")
    newest.key("q")
    assert (tmp_path / "key").read_text() == "q"
    newest.cell(ATTRIBUTES)
    newest.leave()
    found = [text_of(cell["outputs"]) for cell in cells(the_journal(data))]
    assert "now draws" in found[1]
    assert found[0] == found[-2]


@pytest.mark.parametrize("start", ["!less lines", "!more lines", "help(str)"])
def test_a_pager_gets_each_key_and_leaves_the_terminal_as_it_was(
    start: str, newest: Terminal, tmp_path: Path, data: Path
) -> None:
    (tmp_path / "lines").write_text("".join(f"Help on line {n}\n" for n in range(200)))
    newest.cell(ATTRIBUTES)
    newest.child.send(start + "\r")
    newest.child.expect_exact("Help on")
    newest.key("q")
    newest.cell(ATTRIBUTES)
    newest.leave()
    found = [text_of(cell["outputs"]) for cell in cells(the_journal(data))]
    assert found[0] == found[-2]


LATE = """import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    open("go").read()
    print("printed late", flush=True)
    print("warned late", file=sys.stderr, flush=True)
    open("end", "w").write("fine")
except BaseException as error:
    open("end", "w").write(repr(error))
"""
START = f"import subprocess; child = subprocess.Popen([{sys.executable!r}, 'late.py'])"


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """Two pipes: a child prints when the first is opened and closed, and tells in the second."""
    (tmp_path / "late.py").write_text(LATE)
    os.mkfifo(tmp_path / "go")
    os.mkfifo(tmp_path / "end")
    return tmp_path


def test_a_child_that_outlives_the_terminal_session_goes_on_printing(late: Path) -> None:
    shell = late / "shell"
    shell.write_text(f'#!/bin/sh\n{sys.executable} "$@"\necho LEFT\nread answer\n')
    shell.chmod(0o755)
    terminal = Terminal(late, "--simple-prompt", python=str(shell))
    terminal.cell(START)
    terminal.child.send("exit\r")
    terminal.child.expect_exact("LEFT")
    (late / "go").write_text("")
    assert (late / "end").read_text() == "fine"
    terminal.child.expect_exact("printed late\r\n")
    terminal.child.expect_exact("warned late\r\n")
    terminal.child.close(force=True)


def test_a_child_that_outlives_a_program_from_a_pipe_goes_on_printing(late: Path) -> None:
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"]
    with subprocess.Popen(
        command,
        env=isolated(late),
        cwd=late,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as done:
        assert done.stdin is not None
        assert done.stdout is not None
        done.stdin.write(START + "\n")
        done.stdin.close()
        assert done.wait(60) == 0
        (late / "go").write_text("")
        assert (late / "end").read_text() == "fine"
        shown = done.stdout.read()  # to the end: nothing of ours stays
    assert "printed late" in shown
    assert "warned late" in shown


def test_what_was_printed_last_before_a_kill_is_recorded_whatever_children_printed(
    simple: Terminal, data: Path
) -> None:
    last = "n = os.system('echo child'); print('LAST' 'WORDS'); os.kill(os.getpid(), 9)"
    simple.child.send(f"import os; {last}\r")
    simple.child.expect(pexpect.EOF)
    simple.child.close()
    (found,) = cells(the_journal(data), dead=True)
    assert text_of(found["outputs"]) == "child\nLASTWORDS\n"


REDIRECTING = """import os, sys; f = os.open('told', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
saved = os.dup(2); n = os.dup2(f, 2); n = os.system('echo one >&2')
!echo two >&2
n = sys.stderr.write('three\\n')
n = os.dup2(saved, 2); n = os.system('echo four >&2')
!echo five >&2
"""


def test_where_the_user_points_a_descriptor_it_stays(tmp_path: Path, data: Path) -> None:
    done = piped(tmp_path, REDIRECTING)
    assert (tmp_path / "told").read_text() == "one\ntwo\nthree\n"
    assert "four\nfive\n" in done.stderr
    found = [text_of(cell["outputs"], "stderr") for cell in cells(the_journal(data))]
    assert found[1:6] == ["", "", "three\n", "four\n", "five\n"]


@pytest.mark.parametrize("end", [256, 4096])
def test_closing_other_descriptors_leaves_the_terminal_working(end: int, simple: Terminal) -> None:
    simple.cell("get_ipython().history_manager.save_thread.stop()")  # it would say what it misses
    simple.cell(f"import os; os.closerange(3, {end})")
    assert "seen\r\n" in simple.cell("print('se' 'en')")
    assert "child\r\n" in simple.cell("n = os.system('echo chi''ld')")


def test_files_that_got_numbers_of_ours_get_nothing_of_ours(
    simple: Terminal, tmp_path: Path
) -> None:
    simple.cell("import os; f = os.open('own', os.O_CREAT | os.O_RDWR)")
    simple.cell(
        "there = [(int(n), os.path.realpath(f'/dev/fd/{n}')) for n in os.listdir('/dev/fd')]"
    )
    simple.cell("ours = [n for n, file in there if n >= 512 and 'journal' not in file]")
    simple.cell("n = os.write(f, b'precious'); n = [os.dup2(f, n) for n in ours]; print('o' 'ne')")
    assert "6" in simple.cell("len(ours)")
    assert "two\r\n" in simple.cell("print('t' 'wo')")
    assert "child\r\n" in simple.cell("n = os.system('echo chi''ld')")
    assert (tmp_path / "own").read_text() == "precious"


def test_writing_what_is_no_text_fails_as_python_fails(simple: Terminal, data: Path) -> None:
    simple.cell("import sys; sys.stdout.write(b'x')")
    simple.leave()
    (error,) = cells(the_journal(data))[0]["outputs"]
    assert error["ename"] == "TypeError"
    assert error["evalue"] == "write() argument must be str, not bytes"
    assert "console.py" not in "".join(error["traceback"][:-3])
