"""What commands print for people: tables on a terminal of any width, and numbers in words."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest

from jupyter_codesave.cli import output
from jupyter_codesave.cli.output import number
from tests.cli.recorded import END, record
from tests.conftest import Home
from tests.journal.records import execute_input, idle, message, run, session, stream, write

NOTEBOOK = "/home/ann/a-long-name-of-a-folder/and-one-of-a-notebook-in-it-that-is-long.ipynb"
PROJECT = "a-project-whose-name-is-rather-long"


def on_terminal(home: Home, columns: int, *arguments: str) -> str:
    """Run a command on a terminal of so many columns and give what it shows, without colours."""
    ours, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in home.environment.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_codesave", *arguments],
        env={**environment, "TERM": "xterm"},
        cwd=home.work,
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, shown
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 100, 140, 260])
def test_a_terminal_of_any_width_shows_ids_states_and_versions_whole(
    home: Home, columns: int
) -> None:
    runs = [record(home, 12345670 + n, NOTEBOOK, PROJECT) for n in range(2)]
    name = home.json("artifacts")[0]["name"]
    assert len(name) > 80
    listed = on_terminal(home, columns, "runs").splitlines()
    assert max(map(len, listed)) <= columns
    assert listed[0].split()[:2] == ["RUN", "STARTED"]
    assert {line.split()[0] for line in listed[1:]} == set(runs)
    assert all(" finished " in line for line in listed[1:])
    assert any("…" in line for line in listed[1:]) == (columns < 260)
    listed = on_terminal(home, columns, "artifacts").splitlines()
    assert max(map(len, listed)) <= columns
    assert {(run, version) for line in listed for run in runs for version in ("v0", "v1")} >= {
        (line.split()[-3], line.split()[1]) for line in listed[1:]
    }
    assert (name in "\n".join(listed)) == (columns == 260)


def test_the_name_of_the_artifact_gives_way_before_the_names_of_run_and_project(home: Home) -> None:
    record(home, 12345670, NOTEBOOK, PROJECT)
    (line,) = on_terminal(home, 150, "runs").splitlines()[1:]
    assert PROJECT in line
    assert line.split()[-1].startswith("source-")
    assert "…" in line.split()[-1]


def test_a_terminal_too_narrow_for_a_table_shows_a_line_for_each_value(home: Home) -> None:
    run = record(home, 12345670, NOTEBOOK, PROJECT)
    assert f"RUN:           {run}\n" in on_terminal(home, 40, "runs")
    assert f"RUN:           {run}\n" in on_terminal(home, 40, "artifacts")


def test_a_long_line_of_source_goes_on_below_where_it_began(home: Home) -> None:
    line = "plot(" + ", ".join(f"name_{n}" for n in range(12)) + ")"
    record(home, 12345670, plot=line)
    listed = on_terminal(home, 80, "search", "name_11").splitlines()
    assert max(map(len, listed)) == 80
    start = listed[1].index("plot(")
    assert "".join(part[start:].ljust(80 - start) for part in listed[1:]).rstrip() == line


def test_wide_characters_are_cut_and_folded_by_the_columns_they_take(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "49")
    name = "source-日本語日本語日本語.ipynb:v1"
    output.print_table(("RUN", "ARTIFACT", "SOURCE"), [("run12345", name, "数" * 12)])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "run12345  source-…ipynb:v1   数数数数数数数数数数",
        " " * 29 + "数数",
    ]


def test_names_are_shown_whatever_is_in_them_and_whatever_the_terminal_can(home: Home) -> None:
    record(home, 0, project="lone \ud800, turned \u202e, ü")
    home.environment["PYTHONIOENCODING"] = "ascii"
    told = r"lone \ud800, turned \u202e, \xfc"
    for command in (["runs"], ["show", "run0"], ["artifacts", "--json"], ["diff", "run0", "run0"]):
        said = home.command(*command).stdout
        assert (told in said) is (command[0] in ("runs", "show"))


def test_more_runs_and_hits_than_are_listed_are_told_of(home: Home) -> None:
    for each in range(3):
        record(home, each)
    for command in (["runs"], ["search", "lr"]):
        told = home.command(*command, "--limit", "2")
        assert len(told.stdout.splitlines()) == 3
        assert "more than the newest 2" in told.stderr
        assert "--limit" in told.stderr
        assert home.command(*command, "--limit", "3").stderr == ""
        assert len(home.json(*command, "--limit", "2")) == 2


def test_what_is_found_in_a_printed_output_is_said_to_be_there(home: Home) -> None:
    record(home, 3)
    assert home.command("search", "ACCURACY 0.9").stdout.endswith("\tlr = 3e-3  (in its output)\n")
    assert home.command("search", "lr=3e").stdout.endswith("\tlr = 3e-3\n")


def test_one_thing_is_not_called_several(home: Home) -> None:
    assert [number(n, "runs") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert number(1, "unchanged") == "1 unchanged"
    record(home, 0)
    assert home.command("ingest").stdout == "1 run brought up to date\n"
    assert home.command("copy", "--to", "kept.zip").stdout.startswith("1 run, ")
    assert home.command("purge", "run0").stdout.startswith("1 run purged, ")
    home.kernel("n.ipynb").run("1")
    assert "1 journal goes when its session ends\n" in home.command("purge", "--all").stdout


def test_the_session_notebook_is_written_to_a_pipe_that_is_asked_for(home: Home) -> None:
    record(home, 0)
    assert (
        home.command("notebook", "run0", "-o", "-").stdout
        == home.command("notebook", "run0").stdout
    )
    assert list(home.work.iterdir()) == []


def test_the_help_of_copy_says_what_a_place_is_and_that_no_run_means_all(home: Home) -> None:
    told = " ".join(home.command("copy", "-h").stdout.split())
    assert "a folder" in told
    assert "FILE.zip" in told
    assert "DATABASE_URL,ARTIFACT_URL" in told
    assert "none: all runs" in told


def test_show_names_the_executions_that_ended_with_an_error(home: Home) -> None:
    raised = {"ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": []}
    run_id = record(home, 1)
    items = [session("other"), run("other")]
    for n in (1, 2, 3):
        ended = message("error", raised, f"k{n}") if n > 1 else stream("1\n", key=f"k{n}")
        items += [execute_input("1 / 0", n, f"k{n}"), ended, idle(f"k{n}")]
    write(home.data / "journal" / "other.journal", [*items, END])
    assert "executions:    3, 2 with an error: 2, 3\n" in home.command("show", "other").stdout
    assert "executions:    2\n" in home.command("show", run_id).stdout
