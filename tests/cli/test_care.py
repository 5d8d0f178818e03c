"""`status`, `verify`, `rebuild`, `gc` and `purge` as people type them, on stores of every kind."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from tests.blobs import servers
from tests.cli.recorded import record
from tests.conftest import Home, isolated


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, isolated(tmp_path))


def everything(home: Home) -> dict[str, Any]:
    """Give what every command with --json says."""
    commands = [["runs"], ["artifacts"], ["search", "lr"], ["search", "accuracy"], ["status"]]
    runs = [each["id"] for each in home.json("runs")]
    commands += [[command, each] for each in runs for command in ("show", "files")]
    commands += [["diff", *runs[:2]], ["verify"]]
    return {
        " ".join(command): json.loads(home.command(*command, "--json", check=None).stdout)
        for command in commands
    }


def test_a_catalog_made_anew_says_what_the_old_one_said(home: Home) -> None:
    for number in range(3):
        record(home, number)
    home.command("delete", "run1")
    before = everything(home)
    notebook = home.command("notebook", "run2").stdout
    for file in home.data.glob("catalog.sqlite*"):
        file.unlink()
    home.command("rebuild")
    assert everything(home) == before
    assert home.command("notebook", "run2").stdout == notebook
    home.command("restore", "run1")
    assert len(home.json("runs")) == 3


def test_status_says_what_the_store_may_take_and_for_how_long(home: Home) -> None:
    record(home, 0)
    found = home.json("status")
    assert found["budget"] > 0
    assert (found["retention_days"], found["shared"], found["notes"]) == (0, False, [])
    said = home.command("status").stdout
    assert "then the oldest outputs go" in said
    assert "nothing goes by age" in said
    assert "budget = 0: a tenth of the disk, at most 10 GB  (" in said
    home.environment |= {"CODESAVE_RETENTION_DAYS": "30", "CODESAVE_BUDGET": "100"}
    said = home.command("status").stdout
    assert "of 100 bytes" in said
    assert "outputs go after 30 days, sources stay" in said
    assert "note: " in said
    assert "the budget is 100" in said


def test_a_shared_store_says_so_and_is_cleared_only_when_its_administrator_says_so(
    home: Home,
) -> None:
    storage = servers.rclone()
    home.environment |= dict(storage.environ)
    home.environment["CODESAVE_DATABASE_URL"] = servers.postgresql()
    home.environment["CODESAVE_ARTIFACT_URL"] = f"{storage.url}/{secrets.token_hex(6)}"
    record(home, 0)
    found = home.json("status")
    assert (found["shared"], found["budget"]) == (True, None)
    said = home.command("status").stdout
    assert "one trust domain" in said
    assert "no limit" in said
    assert "budget = 0: no limit  (" in said
    for command in (["gc"], ["purge", "run0"], ["purge", "--all"]):
        assert "say --shared" in home.command(*command, check=2).stderr
    assert [each["id"] for each in home.json("runs")] == ["run0"]
    home.command("gc", "--shared")
    home.command("purge", "run0", "--shared")
    assert home.json("runs") == []


def test_verify_repairs_from_a_copy_that_is_named(home: Home, tmp_path: Path) -> None:
    record(home, 0)
    where = str(tmp_path / "copy.zip")
    home.command("copy", "--to", where)
    for file in [*home.data.glob("blobs/packs/??/*"), *home.data.glob("blobs/content/??/*")]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    assert "damaged: " in home.command("verify", check=1).stdout
    said = home.command("verify", "--from", where).stdout
    assert "repaired: " in said
    assert "all whole" in said
    assert SESSION_NOTEBOOK in [each["path"] for each in home.json("files", "run0")]
    assert home.json("verify")["repaired"] == []


UNPRIVILEGED = """
import ctypes, os, sys
if os.geteuid() == 0:  # root may write everything, unless it gives that up for what it starts
    for capability in (1, 2):
        assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-m", "jupyter_codesave", *sys.argv[1:]])
"""


def unprivileged(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody for whom permissions hold."""
    command = [sys.executable, "-c", UNPRIVILEGED, *arguments]
    return subprocess.run(
        command, env=home.environment, cwd=home.work, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("closed", ["the files", "the folder, too"])
def test_a_folder_that_cannot_be_written_is_no_damage(home: Home, closed: str) -> None:
    record(home, 1)
    home.command("runs")
    files = [each for each in home.data.iterdir() if each.is_file()]
    for file in files:
        file.chmod(0o400)
    home.data.chmod(0o500 if closed == "the folder, too" else 0o700)
    done = unprivileged(home, "verify")
    home.data.chmod(0o700)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{home.data / 'catalog.sqlite'} cannot be written" in done.stderr
    assert "writable for you, or copy the folder and set CODESAVE_DIR to the copy" in done.stderr
    assert "rebuild" not in done.stderr
    for file in files:
        file.chmod(0o600)
    assert "all whole" in home.command("verify").stdout


def test_a_switch_that_cannot_be_written_names_the_folder_and_the_way_out(home: Home) -> None:
    home.command("off")
    home.data.chmod(0o500)
    off, on = unprivileged(home, "off"), unprivileged(home, "on")
    home.data.chmod(0o700)
    assert (off.returncode, on.returncode) == (2, 2)
    assert f"{home.data} cannot be written (Permission denied)" in off.stderr
    assert "writable for you; `CODESAVE=off` in the environment" in off.stderr
    assert f"{home.data} cannot be written (Permission denied)" in on.stderr
    assert "CODESAVE=off" not in on.stderr
    assert home.json("status")["capture"] == "off"
    assert "control.json." not in off.stderr + on.stderr


def test_setup_is_undone_once(home: Home) -> None:
    assert "nothing to remove" in home.command("setup", "--undo").stdout
    assert "written" in home.command("setup").stdout
    assert "removed" in home.command("setup", "--undo").stdout
    assert "nothing to remove" in home.command("setup", "--undo").stdout
