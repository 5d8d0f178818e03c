"""Api() reads what scripts and kernels left: runs, files, versions, differences, sources."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_codesave import Api
from jupyter_codesave.api import Comparison
from jupyter_codesave.errors import NotFoundError, UsageError
from jupyter_codesave.ingest.code import Code, download
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.model.manifest import SYMLINK, Entry
from tests.conftest import isolated

TRAIN = """
import jupyter_codesave as codesave
from steps import step
with codesave.init(project="api", name="<b>first</b>", config={{"rate": {rate}}}) as run:
    with open("result.csv", "w") as file:
        file.write(f"{{step()}},{rate}\\n")
    run.save("result.csv", policy="now")
    run.log_code(name="all-code")
print("rate {rate}")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a program that ran twice, with another rate and step."""
    folder = tmp_path_factory.mktemp("api")
    work = folder / "work"
    work.mkdir()
    for rate, step in ((1, 10), (2, 20)):
        (work / "train.py").write_text(TRAIN.format(rate=rate))
        (work / "steps.py").write_text(f"def step():\n    return {step}\n")
        subprocess.run(
            [sys.executable, "-B", "train.py"],
            env=isolated(folder),
            cwd=work,
            check=True,
            timeout=120,
        )
    return folder


@pytest.fixture
def api(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name, value in isolated(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home / "work")
    with Api() as found:
        yield found


def test_runs_are_listed_newest_first_and_shown_as_a_table(api: Api) -> None:
    runs = api.runs(project="api")
    assert [run.config for run in runs] == [{"rate": 2}, {"rate": 1}]
    assert api.runs(limit=1)[0].id == runs[0].id
    assert api.runs(project="other") == []
    table = runs._repr_html_()
    assert table.count("<tr>") == 3
    assert "&lt;b&gt;first&lt;/b&gt;" in table


def test_a_run_is_found_by_each_of_its_references(api: Api) -> None:
    newest, older = api.runs()
    assert api.run("@1").id == newest.id
    assert api.run("@2").id == api.run(older.id).id == api.run(older.id[:8]).id == older.id
    with pytest.raises(NotFoundError, match="zzzzzzzzzz"):
        api.run("zzzzzzzzzz")
    with pytest.raises(UsageError, match=r"no/such\.py"):
        api.run("./no/such.py")


def test_a_run_has_what_show_prints_as_attributes(api: Api) -> None:
    run = api.run("@1")
    assert (run.project, run.state, run.kind) == ("api", "finished", "script")
    assert run.environment["packages"]["jupyterlab"]
    assert "config" in dir(run)
    assert run.id in repr(run)
    with pytest.raises(AttributeError, match="no 'colour'; it has argv, artifact"):
        _ = run.colour


def test_files_come_back_byte_for_byte(api: Api, home: Path, tmp_path: Path) -> None:
    run = api.run("@1")
    assert {"train.py", "steps.py", "files/result.csv"} <= set(run.files)
    assert run.read("train.py") == (home / "work" / "train.py").read_bytes()
    assert api.run("@2").read("files/result.csv") == b"10,1\n"
    with pytest.raises(NotFoundError, match=r"absent\.py"):
        run.read("absent.py")
    written = run.download(tmp_path / "new")
    assert sorted(path.relative_to(tmp_path / "new").as_posix() for path in written) == run.files
    assert (tmp_path / "new" / "steps.py").read_bytes() == run.read("steps.py")


def test_versions_are_found_by_number_and_alias(api: Api, tmp_path: Path) -> None:
    latest = api.artifact("all-code:latest")
    assert latest.version == api.artifact("all-code").version == "v1"
    assert "latest" in latest.aliases
    first = api.artifact("all-code:v0")
    assert (first.run, latest.run) == (api.run("@2").id, api.run("@1").id)
    assert first.files == ["steps.py", "train.py"]
    assert first.read("steps.py") != latest.read("steps.py")
    assert [each.name for each in api.run("@1").artifacts()].count("all-code") == 1
    assert "all-code:v0" in repr(first)
    assert "steps.py" in first._repr_html_()
    with pytest.raises(NotFoundError, match="v7"):
        api.artifact("all-code:v7")
    latest.download(tmp_path)
    assert "return 20" in (tmp_path / "steps.py").read_text()


def test_nothing_is_overwritten_without_being_told(api: Api, tmp_path: Path) -> None:
    version = api.artifact("all-code:v0")
    (tmp_path / "steps.py").write_text("mine")
    with pytest.raises(UsageError, match=r"steps\.py.*overwrite"):
        version.download(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["steps.py"]
    version.download(tmp_path, overwrite=True)
    assert (tmp_path / "steps.py").read_bytes() == version.read("steps.py")


def test_nothing_is_written_through_a_link(api: Api, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("mine")
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "steps.py").symlink_to(tmp_path / "outside.py")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"steps\.py"):
            api.artifact("all-code:v0").download(tmp_path / "into", overwrite=overwrite)
    assert (tmp_path / "outside.py").read_text() == "mine"


@pytest.mark.parametrize(
    "goals",
    [
        {"a": "../outside"},
        {"a": "/etc/passwd"},
        {"a": "b/../../outside"},
        {"a": "b/../outside", "b": "."},
    ],
)
def test_stored_links_lead_nowhere_outside(goals: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    entries = {path: Entry(digest_of(goal.encode()), 1, SYMLINK) for path, goal in goals.items()}
    code = Code("made:v0", "artifact", "made", entries, lambda path: goals[path].encode(), run=None)
    download(code, tmp_path / "into")
    for path in goals:
        written = tmp_path / "into" / path
        assert written.resolve().is_relative_to(tmp_path / "into")
        assert not written.is_file() or written.read_text() != "secret"


def test_two_runs_are_compared(api: Api) -> None:
    found = api.diff("@2", "@1")
    assert isinstance(found, Comparison)
    status = {file["path"]: file["status"] for file in found["files"]}
    assert status["steps.py"] == status["train.py"] == status["files/result.csv"] == "modified"
    assert "steps.py" in repr(found)
    assert "modified" in found._repr_html_()
    (only,) = api.diff("@2", "@1", path="steps.py")["files"]
    assert "-    return 10" in only["diff"]
    assert repr(api.diff("@1", "@1")) == "<comparison: no difference>"


def test_only_executed_cells_are_searched(api: Api) -> None:
    assert api.search("no such text anywhere") == []
