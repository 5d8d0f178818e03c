"""The command line after the demo: every command, its JSON and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbdime.patching import patch_notebook

from jupyter_codesave.diff.normalize import normalize
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from tests.conftest import Home, isolated

CHANGED, TRAINED, TABLE, PLOT = 1, 4, 5, 6  # executed cells of the demo notebook that differ


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("demo")
    home = Home(folder, isolated(folder))
    done = home.command("demo")
    assert "learning_rate = 0.5" in done.stdout
    assert "jupyter lab" in done.stdout
    assert f"and delete the folder {home.data / 'demo'}\n" in done.stdout
    return home


def test_the_demo_makes_two_runs_of_a_project_of_its_own(demo: Home) -> None:
    runs = demo.json("runs")
    assert [run["project"] for run in runs] == ["codesave-demo"] * 2
    assert [run["state"] for run in runs] == ["finished"] * 2
    assert [run["ended_by"] for run in runs] == ["shutdown"] * 2
    assert [run["executions"] for run in runs] == [8, 8]
    assert runs[0]["started"] > runs[1]["started"]
    assert list(demo.work.iterdir()) == []


def test_the_diff_shows_the_changed_cell_and_the_outputs_that_it_changed(demo: Home) -> None:
    found = demo.json("diff", "@2", "@1", "--with-notebooks", check=1)
    (file,) = [file for file in found["files"] if file["path"] == SESSION_NOTEBOOK]
    changed = {
        cell["head"]: cell["fields"] for cell in file["cells"] if cell["change"] != "unchanged"
    }
    assert changed == {
        CHANGED: ["source"],
        TRAINED: ["outputs"],
        TABLE: ["outputs"],
        PLOT: ["outputs"],
    }
    base, head = (demo.command("notebook", ref).stdout for ref in ("@2", "@1"))
    assert file["notebooks"] == {"base": normalize(base), "head": normalize(head)}
    patched = patch_notebook(
        nbformat.from_dict(normalize(base)), json.loads(json.dumps(file["diff"]), object_hook=_op)
    )
    assert patched == normalize(head)


def _op(value: dict[str, Any]) -> Any:
    from nbdime.diff_format import DiffEntry

    return DiffEntry(value) if "op" in value else value


def test_a_run_against_itself_is_no_difference(demo: Home) -> None:
    assert demo.json("diff", "@1", "@1", check=0)["changed"] is False


def test_one_notebook_is_compared_with_what_ran_last(demo: Home) -> None:
    notebook = demo.data / "demo" / "training.ipynb"
    assert demo.command("diff", str(notebook), check=0).returncode == 0
    demo.command("diff", f"{notebook}@2", str(notebook), check=1)


def test_show_tells_all_of_a_run(demo: Home) -> None:
    found = demo.json("show", "@1")
    assert found["notebook"] == str(demo.data / "demo" / "training.ipynb")
    assert found["environment"]["python"].count(".") == 2
    assert "ipykernel" in found["environment"]["packages"]
    for key in ("config", "argv", "cwd", "host", "user", "git", "files"):
        assert key in found
    assert found["id"] in demo.command("show", found["id"][:8]).stdout


def test_the_artifact_holds_session_notebook_notebook_and_modules(demo: Home) -> None:
    (artifact,) = demo.json("artifacts")
    assert artifact["type"] == "code"
    assert artifact["name"].startswith("source-codesave-demo-")
    assert [version["version"] for version in artifact["versions"]] == ["v0", "v1"]
    assert artifact["versions"][1]["aliases"] == ["latest"]
    paths = {file["path"] for file in demo.json("files", f"{artifact['name']}:latest")}
    assert {SESSION_NOTEBOOK, "training.ipynb", "chart.py", "requirements.txt"} <= paths


def test_cat_and_download_give_the_very_bytes(demo: Home, tmp_path: Path) -> None:
    chart = demo.command("cat", "@1", "chart.py").stdout
    assert chart == (demo.data / "demo" / "chart.py").read_text()
    demo.command("download", "@1", str(tmp_path / "out"))
    assert (tmp_path / "out" / "chart.py").read_text() == chart
    (tmp_path / "out" / "chart.py").write_text("mine")
    refused = demo.command("download", "@1", str(tmp_path / "out"), check=2)
    assert "chart.py" in refused.stderr
    assert (tmp_path / "out" / "chart.py").read_text() == "mine"
    demo.command("download", "@1", str(tmp_path / "out"), "--overwrite")
    assert (tmp_path / "out" / "chart.py").read_text() == chart


def test_the_session_notebook_is_written_to_a_file(demo: Home, tmp_path: Path) -> None:
    demo.command("notebook", "@1", "-o", str(tmp_path / "ran.ipynb"))
    notebook = nbformat.read(tmp_path / "ran.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.metadata.codesave.status for cell in notebook.cells] == ["ok"] * 8
    assert "image/png" in notebook.cells[PLOT].outputs[0].data


def test_sources_are_searched(demo: Home) -> None:
    hits = demo.json("search", "learning_rate=0.5")
    assert {hit["execution"] for hit in hits} == {CHANGED + 1}


def test_status_says_what_is_recorded_and_where(demo: Home) -> None:
    found = demo.json("status")
    assert (found["capture"], found["automatic"], found["waiting"]) == ("all", True, 0)
    assert found["dir"] == str(demo.data)
    assert found["size"] > 0


def test_the_switch_turns_recording_off_and_on(demo: Home) -> None:
    demo.command("off")
    assert demo.json("status")["capture"] == "off"
    assert "jupyter codesave on" in demo.command("demo", check=2).stderr
    demo.command("on")
    assert demo.json("status")["capture"] == "all"


def test_verify_finds_the_store_whole(demo: Home) -> None:
    found = demo.json("verify")
    assert (found["damaged"], found["missing"]) == ([], [])
    assert found["versions"] == 2


def test_a_deleted_run_is_gone_until_it_is_restored(demo: Home) -> None:
    run = demo.json("runs")[1]["id"]
    demo.command("delete", run)
    assert run not in [found["id"] for found in demo.json("runs")]
    assert [found["id"] for found in demo.json("runs", "--deleted")] == [run]
    demo.command("restore", run[:8])
    assert "no such runs" in demo.command("runs", "--deleted").stdout
    assert run in [found["id"] for found in demo.json("runs")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "nosuchrun"], "nosuchrun"),
        (["show", "@77"], "@77"),
        (["diff", "@1", "nowhere/x.ipynb"], "nowhere/x.ipynb"),
        (["diff", "@1", "source-none:v3"], "source-none"),
        (["cat", "@1", "no/such/file"], "no/such/file"),
        (["files", "???"], "???"),
        (["purge"], "--all"),
        (["download", "@1"], "DIR"),
        (["nonsense"], "nonsense"),
        (["restore", "@1"], "`jupyter codesave runs --deleted`"),
        (["restore", "zzz"], "`jupyter codesave runs --deleted`"),
    ],
)
def test_bad_use_is_named_with_exit_code_2(demo: Home, arguments: list[str], told: str) -> None:
    done = demo.command(*arguments, check=2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_notebook_that_is_none_is_compared_as_text(demo: Home, tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.ipynb", tmp_path / "other.ipynb"
    broken.write_text("this is not JSON\n")
    other.write_text("[1, 2]\n")
    found = demo.json("diff", str(broken), str(other), check=1)
    assert found["files"][0]["kind"] == "text"


def test_a_garbled_journal_is_named_and_the_rest_goes_on(demo: Home) -> None:
    garbled = demo.data / "journal" / "garbled.journal"
    garbled.write_bytes(b"this is no journal")
    done = demo.command("runs")
    assert "garbled.journal" in done.stderr
    assert "codesave-demo" in done.stdout
    assert garbled.exists()
    garbled.unlink()


def test_names_from_elsewhere_do_not_steer_the_terminal(tmp_path: Path) -> None:
    home = Home(tmp_path, isolated(tmp_path))
    (home.work / "train.py").write_text(
        "import jupyter_codesave as codesave\n"
        "codesave.init('p\\x1b[31m', 'n\\x1b]0;t\\x07', notes='a\\tb\\nc\\x9b2J').finish()\n"
    )
    subprocess.run([sys.executable, "train.py"], cwd=home.work, env=home.environment, check=True)
    listed, shown = home.command("runs").stdout, home.command("show", "@1").stdout
    assert "n\\x1b]0;t\\x07" in listed
    assert "a\tb\nc\\x9b2J" in shown
    assert not {"\x1b", "\x07", "\x9b"} & {*listed, *shown}
