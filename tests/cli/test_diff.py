"""`diff` from a shell: what ran against what a file says, plain files, pipes and exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.recorded import record
from tests.conftest import Home
from tests.diff.made import code_cell, notebook, stream


def write(path: Path, *cells: Any) -> Path:
    path.write_text(json.dumps(notebook(list(cells))))
    return path


def prose(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "prose", "metadata": {}, "source": text}


def test_what_a_kernel_ran_is_compared_with_the_file_while_it_runs_and_after(home: Home) -> None:
    kernel = home.kernel("analysis.ipynb")
    kernel.run("a = 1", metadata={"cellId": "first"})
    kernel.run("print(a)", metadata={"cellId": "second"})
    kernel.run("print(a + 1)", metadata={"cellId": "second"})
    path = write(
        home.work / "analysis.ipynb",
        prose("# Title"),
        code_cell("a = 1", id="first"),
        code_cell("print(a + 2)", id="second"),
        code_cell("never_ran()", id="third"),
    )
    (run,) = home.json("runs")
    seen = []
    for state in ("running", "finished"):
        if state == "finished":
            kernel.stop()
        for options in ([], ["--sources-only"], ["--no-metadata"]):
            found = home.json("diff", run["id"], str(path), *options, check=1)
            assert found["base"]["run"]["state"] == state
            (file,) = found["files"]
            assert file["session"]
            seen.append({(cell["change"], cell["base"], cell["head"]) for cell in file["cells"]})
            assert file["counts"]["superseded"] == 1
    assert all(
        cells
        == {
            ("unchanged", None, 0),
            ("unchanged", 0, 1),
            ("removed", 1, None),
            ("modified", 2, 2),
            ("added", None, 3),
        }
        for cells in seen
    )
    text = home.command("diff", str(path), check=1).stdout
    assert "1 modified, 1 added, 1 superseded" in text
    assert "⋯ 2 unchanged cells, 1 earlier execution\n" in text
    assert "- print(a + 1)" in text
    assert "+ print(a + 2)" in text


def test_in_a_pipe_nothing_is_cut_and_nothing_coloured(home: Home) -> None:
    long = "x = '" + "word " * 200 + "'"
    base = write(home.work / "base.ipynb", code_cell(long, stream("1\n"), id="a"))
    head = write(home.work / "head.ipynb", code_cell("y" + long[1:], stream("2\n"), id="a"))
    text = home.command("diff", str(base), str(head), check=1).stdout
    assert "\x1b" not in text
    assert f"- {long[:300]}" in text
    assert "  - 1\n" in text
    assert "  - 1\n" not in home.command("diff", str(base), str(head), "-O", check=1).stdout
    assert home.command("diff", str(base), str(base), check=0).stdout
    assert (
        "other.ipynb" in home.command("diff", str(base), str(head), "other.ipynb", check=2).stderr
    )
    assert "is-not-there.ipynb" in home.command("diff", "is-not-there.ipynb", check=2).stderr


def test_any_character_a_notebook_can_hold_is_printed(home: Home) -> None:
    base = write(home.work / "base.ipynb", code_cell("a = '\ud800'\x1b[2J", id="a"))
    head = write(home.work / "head.ipynb", code_cell("b = '\udfff\x00\u202e'", id="a"))
    printed = home.command("diff", str(base), str(head), check=1)
    assert "a = '�'" in printed.stdout
    assert "\x1b" not in printed.stdout
    assert home.json("diff", str(base), str(head), check=1)["changed"]


def test_a_notebook_is_compared_with_what_git_has_of_it(home: Home) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=home.work, check=True, capture_output=True)

    git("init")
    path = write(home.work / "n.ipynb", code_cell("first()", id="a"))
    git("add", "n.ipynb")
    git("commit", "-m", "one")
    write(path, code_cell("second()", id="a"))
    git("commit", "-a", "-m", "two")
    write(path, code_cell("third()", id="a"))
    text = home.command("diff", "HEAD", "n.ipynb", check=1).stdout
    assert "- second()" in text
    assert "+ third()" in text
    text = home.command("diff", "HEAD~1", "HEAD", "n.ipynb", check=1).stdout
    assert "- first()" in text
    assert "+ second()" in text
    assert "NOPE" in home.command("diff", "NOPE", "n.ipynb", check=2).stderr
    write(home.work / "new.ipynb")
    assert "new.ipynb is not in git" in home.command("diff", "HEAD", "new.ipynb", check=2).stderr


def test_options_may_stand_between_references(home: Home) -> None:
    base = write(home.work / "base.ipynb", code_cell("a = 1", id="a"))
    head = write(home.work / "head.ipynb", code_cell("a = 2", id="a"))
    references = [str(base), str(head), "head.ipynb"]
    told = home.command("diff", "-s", *references, check=1).stdout
    assert "- a = 1" in told
    for n in (1, 2, 3):
        mixed = [*references[:n], "-s", "--stat", *references[n:]]
        stat = home.command("diff", "-s", "--stat", *references, check=1).stdout
        assert home.command("diff", *mixed, check=1).stdout == stat
    assert (
        "unrecognized arguments: more"
        in home.command("diff", *references, "-s", "more", check=2).stderr
    )


def test_one_run_alone_is_compared_with_the_newest_and_with_itself_is_told(home: Home) -> None:
    assert "that against the newest run" in " ".join(home.command("diff", "-h").stdout.split())
    first = record(home, 1)
    only = home.command("diff", check=2).stderr
    assert f"no run before {first}, the only one" in only
    record(home, 2)
    newest = home.json("runs")[0]["id"]
    told = home.command("diff", "@1", check=0).stderr
    assert f"the same run, {newest}" in told
    assert home.command("diff", "@2", check=1).stderr == ""


def test_an_empty_history_is_said_to_be_empty(home: Home) -> None:
    said = home.command("runs").stdout.strip()
    assert said in home.command("diff", check=2).stderr
    assert "No artifacts yet" in home.command("artifacts").stdout
    record(home, 1)
    assert (
        home.command("search", "nowhere").stdout == "No executed cell held or printed 'nowhere'.\n"
    )
    assert home.json("search", "nowhere") == []
