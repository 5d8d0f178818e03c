"""control.json: one change at a time, whole, and off when nobody can tell any more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_codesave.control import changed_control, note_rename, read_control, renamed
from jupyter_codesave.settings import resolve


def test_it_is_replaced_in_one_step_and_keeps_other_keys(tmp_path: Path) -> None:
    with changed_control(tmp_path) as control:
        control.update(user={"capture": "off"}, roots=["/a"])
    with changed_control(tmp_path) as control:
        control["user"] = {}
    assert json.loads((tmp_path / "control.json").read_text()) == {"roots": ["/a"]}
    assert [file.name for file in tmp_path.iterdir()] == ["control.json"]
    assert (tmp_path / "control.json").stat().st_mode & 0o777 == 0o600


def test_a_change_that_fails_leaves_it_as_it_was(tmp_path: Path) -> None:
    with changed_control(tmp_path) as control:
        control["user"] = {"capture": "off"}
    with pytest.raises(ZeroDivisionError), changed_control(tmp_path) as control:
        _ = [control.clear(), 1 / 0]
    assert read_control(tmp_path) == {"user": {"capture": "off"}}


def test_processes_that_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from jupyter_codesave.control import changed_control\n"
        "for n in range(25):\n"
        "    with changed_control(Path(sys.argv[1])) as control:\n"
        "        control[f'{sys.argv[2]}-{n}'] = 1\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    running = [subprocess.Popen([*words, name]) for name in "abcd"]
    assert [process.wait(60) for process in running] == [0] * 4
    assert len(read_control(tmp_path)) == 100


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"user": {"capture": "o'])
def test_a_damaged_one_says_off_until_somebody_says_otherwise(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "control.json").write_text(damaged)
    environ = {"CODESAVE_DIR": str(tmp_path)}
    capture = resolve(cwd=tmp_path, environ=environ)["capture"]
    assert (capture.value, capture.source) == ("off", "user settings")
    with changed_control(tmp_path) as control:
        control["user"] = {"capture": "all"}
    assert resolve(cwd=tmp_path, environ=environ)["capture"].value == "all"


def test_a_renamed_notebook_is_found_by_its_new_name(tmp_path: Path) -> None:
    note_rename(tmp_path, "/w/a.ipynb", "/w/b.ipynb")
    note_rename(tmp_path, "/w", "/moved")
    control = read_control(tmp_path)
    assert renamed(control, "/w/a.ipynb", since=0) == "/moved/b.ipynb"
    assert renamed(control, "/w/a.ipynb", since=4e9) == "/w/a.ipynb"
    assert renamed(control, "/other/a.ipynb", since=0) == "/other/a.ipynb"


def test_one_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "control.json"
    file.symlink_to(file)
    with pytest.raises(OSError, match=r"control\.json"), changed_control(tmp_path):
        pass
    assert file.is_symlink()
    assert "Too many levels" in read_control(tmp_path)["unread"]
