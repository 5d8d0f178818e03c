"""%codesave as a person types it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.capture.journals import all_events, the_journal
from tests.conftest import Home, Kernel, wait_until


@pytest.fixture
def kernel(home: Home) -> Kernel:
    return home.kernel("paper.ipynb")


def ask(kernel: Kernel, code: str) -> list[dict[str, Any]]:
    """Run a cell and give its outputs."""
    outputs: list[dict[str, Any]] = []
    kernel.client.execute_interactive(
        code,
        timeout=120,
        allow_stdin=False,
        output_hook=lambda m: outputs.append({"type": m["msg_type"], **m["content"]}),
    )
    return [each for each in outputs if each["type"] not in ("status", "execute_input")]


def printed(kernel: Kernel, code: str) -> str:
    return "".join(each.get("text", "") for each in ask(kernel, code))


def test_alone_it_shows_the_state_and_who_decided_it(kernel: Kernel, home: Home) -> None:
    text = printed(kernel, "%codesave")
    assert text.startswith("Recording, as by default")
    assert "paper.ipynb" in text
    assert str(home.data) in text


WAYS = {
    "%codesave off": ("in this session; %codesave on to record again.", "%codesave on"),
    "!jupyter codesave off": ("user settings; `jupyter codesave on` to record again.", None),
    "%env CODESAVE=off": ("(CODESAVE); change it there to record again.", "%env CODESAVE=on"),
}


@pytest.mark.parametrize("way", WAYS)
def test_when_it_is_off_it_says_how_to_record_again(kernel: Kernel, way: str) -> None:
    ask(kernel, way)
    told, back = WAYS[way]
    text = printed(kernel, "%codesave")
    assert text.startswith("Not recording (off), decided by ")
    assert text.splitlines()[0].endswith(told)
    ask(kernel, back or "!jupyter codesave on")
    assert "; %codesave off to stop.\n" in printed(kernel, "%codesave")


@pytest.mark.parametrize(
    ("said", "told"), [("off", "decided by the environment"), ("sources", "Sources only")]
)
def test_it_names_the_level_that_decided(said: str, told: str, home: Home) -> None:
    assert told in printed(home.kernel(CODESAVE=said), "%codesave")


def test_save_shows_a_table_in_a_notebook_and_text_elsewhere(kernel: Kernel, home: Home) -> None:
    (home.work / "results").mkdir()
    for name in ("a.csv", "b.csv"):
        (home.work / "results" / name).write_text(name * 600)
    (shown,) = ask(kernel, "%codesave save results/*.csv --policy now")
    text, html = shown["data"]["text/plain"], shown["data"]["text/html"]
    assert text.startswith("2 saved with run ")
    assert "results/a.csv" in text
    assert "3.0 kB" in text
    assert "<table>" in html
    files = all_events(the_journal(home.data), "file")
    assert {event["path"] for event in files} == {"results/a.csv", "results/b.csv"}
    assert {event["policy"] for event in files} == {"now"}


def test_save_takes_a_base_path_and_names_with_blanks(kernel: Kernel, home: Home) -> None:
    (home.work / "my results").mkdir()
    (home.work / "my results" / "a b.txt").write_text("x")
    ask(kernel, "%codesave save 'my results/a b.txt' --base-path 'my results' --policy now")
    (event,) = all_events(the_journal(home.data), "file")
    assert event["path"] == "a b.txt"


def test_save_without_any_init_keeps_the_last_state(kernel: Kernel, home: Home) -> None:
    ask(kernel, "n = open('model.txt', 'w').write('one')")
    ask(kernel, "%codesave save model.txt")
    ask(kernel, "n = open('model.txt', 'w').write('two')")
    kernel.manager.shutdown_kernel()
    path = the_journal(home.data)
    ends = wait_until(lambda: all_events(path, "session-end"), "the end of the session")
    assert ends[0]["ended_by"] == "shutdown"
    event = all_events(path, "file")[-1]
    name = event["digest"].removeprefix("sha256:")
    assert (home.data / "spool" / name[:2] / name[2:]).read_bytes() == b"two"


def test_log_code_and_its_dry_run(kernel: Kernel, home: Home) -> None:
    (home.work / "lib.py").write_text("x = 1\n")
    (shown,) = ask(kernel, "%codesave log_code . --name mine --dry-run")
    assert "mine would hold 1 files" in shown["data"]["text/plain"]
    assert all_events(the_journal(home.data), "artifact") == []
    (shown,) = ask(kernel, "%codesave log_code . --name mine")
    assert "lib.py" in shown["data"]["text/plain"]
    (event,) = all_events(the_journal(home.data), "artifact")
    assert event["name"] == "mine"


def test_init_and_finish(kernel: Kernel, home: Home) -> None:
    assert printed(kernel, "%codesave init --project p --name n").startswith("run ")
    assert printed(kernel, "%codesave finish").endswith("finished\n")
    run = all_events(the_journal(home.data), "run")[-1]
    assert (run["project"], run["name"], run["explicit"]) == ("p", "n", True)


@pytest.mark.parametrize(
    "line",
    [
        "%codesave nonsense",
        "%codesave save",
        "%codesave save a --nonsense",
        "%codesave save a --policy",
        "%codesave init extra",
        "%codesave forget nobody",
        "%%codesave nonsense\n1",
    ],
)
def test_what_is_typed_wrongly_is_told(line: str, kernel: Kernel) -> None:
    (error,) = ask(kernel, line)
    assert error["ename"] == "UsageError"
    assert error["evalue"]


def test_help_and_completion(kernel: Kernel, home: Home) -> None:
    (home.work / "data.csv").write_text("")
    reply = kernel.client.inspect("%codesave", reply=True, timeout=60)
    assert "%codesave save GLOB" in reply["content"]["data"]["text/plain"]

    def completed(code: str) -> list[str]:
        found: list[str] = kernel.client.complete(code, reply=True, timeout=60)["content"][
            "matches"
        ]
        return found

    assert "log_code" in completed("%codesave lo")
    assert "--policy" in completed("%codesave save --po")
    assert "now" in completed("%codesave save x --policy n")
    assert "data.csv" in completed("%codesave save da")


@pytest.mark.parametrize("line", ["help", "--help", "-h", "save --help"])
def test_help_is_printed_however_it_is_asked_for(kernel: Kernel, line: str) -> None:
    text = printed(kernel, f"%codesave {line}")
    assert text.startswith("Save the code of this session")
    assert "%codesave save GLOB" in text


def test_runs_go_through_the_command_line_and_are_a_table_in_a_notebook(kernel: Kernel) -> None:
    ask(kernel, "x = 1")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", printed(kernel, "%codesave runs"))  # a bold header
    header, line = shown.splitlines()
    assert "\t" not in header + line
    assert "paper.ipynb" in line
    at = header.index("STATE")
    assert line[at - 2 : at + 7] == "  running"
    piped = printed(kernel, "!jupyter codesave runs | cat").splitlines()
    assert piped[0].startswith("RUN\tSTARTED\tSTATE\t")
