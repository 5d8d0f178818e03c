"""HTTP as the interface promises it, against a real server."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from jupyter_codesave.server.outline import outline
from tests.conftest import Lab, wait_until
from tests.journal.records import execute_input, idle, session, stream, write
from tests.store import made
from tests.store.made import Place

SESSION = "_session_history.ipynb"
END = ("session-end", {"ended_by": "shutdown", "exit_code": 0})


def record(lab: Lab, name: str, *sources: str, notebook: str = "routes.ipynb") -> str:
    """Leave a finished journal as a kernel would, and wait until the server has ingested it."""
    run = ("run", {"run": f"{name}run", "project": "routes", "notebook": str(lab.root / notebook)})
    cells = [
        item
        for n, source in enumerate(sources, 1)
        for item in (
            execute_input(source, n, f"{name}{n}"),
            stream(f"{source}\n", key=f"{name}{n}"),
            idle(f"{name}{n}"),
        )
    ]
    write(lab.home.data / "journal" / f"{name}.journal", [session(name), run, *cells, END])
    wait_until(lambda: known(lab, f"{name}run"), f"the run {name}run")
    return f"{name}run"


def known(lab: Lab, run: str) -> Any:
    try:
        found = lab.api(f"runs/{run}")
    except urllib.error.HTTPError:
        return None
    return found if found["state"] == "finished" else None


def refused(lab: Lab, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        lab.api(path, method, body)
    return caught.value.code, json.loads(caught.value.read())


@pytest.fixture(scope="module")
def two_runs(lab: Lab) -> tuple[str, str]:
    base = record(lab, "routesa", "import os", "lr = 1", "print(lr)")
    return base, record(lab, "routesb", "import os", "lr = 2", "print(lr)")


def test_runs_are_listed_newest_first_with_contents_paths(
    lab: Lab, two_runs: tuple[str, str]
) -> None:
    listed = lab.api(f"runs?notebook={quote('routes.ipynb')}")["runs"]
    assert [run["id"] for run in listed] == [two_runs[1], two_runs[0]]
    assert listed[0]["notebook"] == "routes.ipynb"
    page = lab.api("runs?project=routes&limit=1")
    rest = lab.api(f"runs?project=routes&limit=1&cursor={quote(page['next'])}")
    assert [page["runs"][0]["id"], rest["runs"][0]["id"]] == [two_runs[1], two_runs[0]]


def test_a_diff_names_the_changed_cell(lab: Lab, two_runs: tuple[str, str]) -> None:
    found = lab.api(f"diff?base={two_runs[0]}&head={two_runs[1]}&notebooks=touched")
    (file,) = [file for file in found["files"] if file["path"] == "_session_history.ipynb"]
    changed = [cell for cell in file["cells"] if cell["change"] != "unchanged"]
    assert [(cell["base"], cell["head"]) for cell in changed] == [(1, 1)]
    assert "source" in changed[0]["fields"]


def test_whole_cells_are_fetched_one_by_one(lab: Lab, two_runs: tuple[str, str]) -> None:
    query = f"base={two_runs[0]}&head={two_runs[1]}&path=_session_history.ipynb"
    found = lab.api(f"diff/cells?{query}&side=head&indices=0,2")
    assert found["cells"]["0"]["source"] == "import os"
    assert found["cells"]["2"]["source"] == "print(lr)"


def test_two_notebooks_can_be_posted(lab: Lab) -> None:
    def notebook(source: str) -> str:
        cell = {"cell_type": "markdown", "metadata": {}, "source": source, "id": "a"}
        return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    found = lab.api("diff", "POST", {"base": notebook("one"), "head": notebook("two")})
    assert found["files"][0]["path"] == "notebook.ipynb"
    assert found["files"][0]["cells"][0]["change"] == "modified"
    assert refused(lab, "diff", "POST", {"base": "no notebook", "head": "{}"})[0] == 400


def test_a_notebook_on_disk_is_compared_through_contents(
    lab: Lab, two_runs: tuple[str, str]
) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": "lr = 5", "id": "a", "outputs": []}
    cell["execution_count"] = None
    text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (lab.root / "on disk.ipynb").write_text(text)
    found = lab.api(f"diff?base={two_runs[0]}&head={quote('on disk.ipynb')}")
    assert found["head"]["kind"] == "path"
    code, answer = refused(lab, f"diff?base={two_runs[0]}&head={quote('./not there.ipynb')}")
    assert (code, answer["reason"]) == (404, "not-found")
    code, _ = refused(lab, f"diff?base={two_runs[0]}&head={quote('../../etc/passwd')}")
    assert code == 404


def test_a_session_notebook_is_served_without_trust(lab: Lab, two_runs: tuple[str, str]) -> None:
    found = lab.api(f"runs/{two_runs[0]}/notebook")
    assert [cell["source"] for cell in found["cells"]] == ["import os", "lr = 1", "print(lr)"]
    assert "trusted" not in json.dumps(found)


def test_executions_are_outlined_and_their_cells_fetched_as_they_are_looked_at(
    lab: Lab, two_runs: tuple[str, str]
) -> None:
    found = lab.api(f"runs/{two_runs[0]}/executions")
    assert found["language"] == "text/x-python"
    assert [each["line"] for each in found["executions"]] == ["import os", "lr = 1", "print(lr)"]
    last = found["executions"][2]
    assert (last["execution"], last["outputs"], last["size"], last["images"]) == (3, 1, 10, [])
    assert last["started"] <= last["ended"]
    cells = lab.api(f"runs/{two_runs[0]}/cells?indices=2,0,99")["cells"]
    assert {n: cell["source"] for n, cell in cells.items()} == {"0": "import os", "2": "print(lr)"}
    assert cells["2"]["outputs"][0]["text"] == "print(lr)\n"
    assert refused(lab, f"runs/{two_runs[0]}/cells?indices=a")[0] == 400
    assert refused(lab, "runs/nothere/executions")[0] == 404


@pytest.mark.parametrize("ename", ["KeyboardInterrupt", None, 7])
def test_an_outline_tells_what_was_raised(ename: Any) -> None:
    outputs = [{"output_type": "stream", "text": "x"}, {"output_type": "error", "ename": ename}]
    found = outline({"metadata": {}, "source": "1", "outputs": outputs})
    assert found["error"] == (ename if isinstance(ename, str) else "")
    assert outline({"metadata": {}, "source": "1", "outputs": []})["error"] is None


def test_the_newest_versions_of_a_series_alone_can_be_listed(
    lab: Lab, two_runs: tuple[str, str]
) -> None:
    name = lab.api(f"runs/{two_runs[1]}")["artifact"].split(":")[0]
    whole, newest = (
        next(each["versions"] for each in lab.api(f"artifacts{query}") if each["name"] == name)
        for query in ("", "?recent=1")
    )
    assert len(whole) > 1
    assert newest == [max(whole, key=lambda version: version["created"])]


def test_a_paused_download_stops_no_list(lab: Lab) -> None:
    with Place(lab.home.data).open() as store:
        run = made.record(store, saved={"big.bin": os.urandom(64 << 20)})[0].id
    (entry,) = lab.api(f"runs/{run}")["files"]
    url = f"{lab.url}codesave/api/blobs/{entry['digest']}?run={run}"
    request = urllib.request.Request(url, headers={"Authorization": f"token {lab.token}"})
    with urllib.request.urlopen(request, timeout=30) as paused:
        paused.read(10)
        assert lab.api("runs")["runs"]


def test_a_run_is_renamed_tagged_deleted_and_restored(lab: Lab) -> None:
    run = record(lab, "renamed", "x = 1")
    changed = lab.api(f"runs/{run}", "PATCH", {"name": "better", "tags": ["a"], "notes": "n"})
    assert (changed["name"], changed["tags"], changed["notes"]) == ("better", ["a"], "n")
    assert refused(lab, f"runs/{run}", "PATCH", {"state": "finished"})[0] == 400
    assert lab.api(f"runs/{run}", "DELETE") is None
    assert run not in [found["id"] for found in lab.api("runs?limit=1000")["runs"]]
    assert [found["id"] for found in lab.api("runs?state=deleted")["runs"]] == [run]
    assert lab.api(f"runs/{run}/restore", "POST", {})["id"] == run
    assert run in [found["id"] for found in lab.api("runs?limit=1000")["runs"]]


def test_a_stored_file_is_an_attachment_that_nothing_may_run(
    lab: Lab, two_runs: tuple[str, str]
) -> None:
    name, version = lab.api(f"runs/{two_runs[0]}")["artifact"].split(":")
    url = f"{lab.url}codesave/api/artifacts/{name}/{version}/files/_session_history.ipynb"
    request = urllib.request.Request(url, headers={"Authorization": f"token {lab.token}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert json.loads(response.read())["nbformat"] == 4
    (entry,) = lab.api(f"artifacts/{name}/{version}")["files"]
    blob = f"{lab.url}codesave/api/blobs/{entry['digest']}?run={two_runs[0]}"
    request = urllib.request.Request(blob, headers={"Authorization": f"token {lab.token}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert len(response.read()) == entry["size"]


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("runs/nosuchrun", 404, "not-found"),
        ("runs/nosuchrun/notebook", 404, "not-found"),
        ("runs/routes", 400, "usage"),  # ambiguous
        ("artifacts/nothing/v0", 404, "not-found"),
        ("diff?base=nosuchrun&head=@1", 404, "not-found"),
        ("diff?base=@1&head=%3F%3F", 400, "usage"),
    ],
)
def test_bad_references_are_named_with_a_fitting_status(
    lab: Lab, two_runs: tuple[str, str], path: str, status: int, reason: str
) -> None:
    code, answer = refused(lab, path)
    assert (code, answer["reason"]) == (status, reason)
    assert len(answer["message"]) > 20


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("runs?limit=nan", "GET", None),
        ("runs?limit=many", "GET", None),
        ("runs?q=%ED%A0%80", "GET", None),
        ("search?q=%00", "GET", None),
        ("search", "GET", None),
        ("diff?base=@1&head=@1&timeout=x", "GET", None),
        ("diff?base=@1", "GET", None),
        (
            "diff/cells?base=@1&head=@1&path=_session_history.ipynb&side=head&indices=-1",
            "GET",
            None,
        ),
        ("status", "POST", {"capture": "some"}),
        ("status", "POST", ["capture"]),
        ("settings", "PUT", {"budget": "much"}),
        ("versions", "POST", {"notebook": 5}),
    ],
)
def test_a_bad_question_is_refused_as_one(lab: Lab, path: str, method: str, body: Any) -> None:
    code, answer = refused(lab, path, method, body)
    assert code == 400
    assert answer["message"]


@pytest.mark.parametrize("q", ["%22%27%3B--", "%25%25%25", "%F0%9F%A6%84", "%5B%2A%5D", "NEAR"])
def test_any_text_can_be_searched_for(lab: Lab, two_runs: tuple[str, str], q: str) -> None:
    assert lab.api(f"search?q={q}")["results"] == []
    assert lab.api(f"runs?q={q}")["runs"] == []


def test_nobody_comes_in_without_the_token(lab: Lab) -> None:
    for path in ("status", "runs", "settings", "artifacts", "diff?base=@1&head=@2"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{lab.url}codesave/api/{path}", timeout=60)
        assert caught.value.code == 403, path


def test_sources_are_searched(lab: Lab, two_runs: tuple[str, str]) -> None:
    found = lab.api("search?q=" + quote("lr = 2"))["results"]
    assert (found[0]["run"], found[0]["execution"]) == (two_runs[1], 2)


def test_settings_are_changed_and_bad_ones_refused(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    assert lab.api("settings")["capture"]["value"] == "all"
    assert lab.api("settings", "PUT", {"capture": "off"})["capture"]["value"] == "off"
    status = lab.api("status")
    assert (status["capture"], status["decided_by"]) == ("off", "user settings")
    assert lab.api("status", "POST", {"capture": None})["capture"] == "all"
    code, answer = refused(lab, "settings", "PUT", {"capture": "perhaps"})
    assert code == 400
    assert "perhaps" in answer["message"]
    assert refused(lab, "settings", "PUT", {"nonsense": 1})[0] == 400
    code, answer = refused(lab, "settings", "PUT", {"database_url": "postgresql://u:canary@h/d"})
    assert code == 400
    assert "the server's own config" in answer["message"]
    assert "canary" not in (lab.home.data / "control.json").read_text()


def test_a_data_folder_that_cannot_be_written_is_told(
    start_lab: Callable[..., Lab], tmp_path: Any
) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("where the data folder should be")
    code, answer = refused(
        start_lab(healthy=False, CODESAVE_DIR=str(blocked / "codesave")), "status"
    )
    assert (code, answer["reason"]) == (503, "unavailable")
    assert "nothing is recorded" in answer["message"]


def test_a_renamed_notebook_keeps_its_series(lab: Lab) -> None:
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / "before.ipynb").write_text(json.dumps(empty))
    run = record(lab, "beforename", "x = 1", notebook="before.ipynb")
    series = lab.api(f"runs/{run}")["artifact"].split(":")[0]
    request = urllib.request.Request(
        f"{lab.url}api/contents/before.ipynb",
        method="PATCH",
        data=json.dumps({"path": "after.ipynb"}).encode(),
        headers={"Authorization": f"token {lab.token}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=60).close()
    wait_until(lambda: renames(lab), "the note of the rename")
    assert lab.api(f"runs/{run}")["notebook"] == "after.ipynb"
    run = record(lab, "aftername", "x = 2", notebook="after.ipynb")
    assert lab.api(f"runs/{run}")["artifact"] == f"{series}:v1"


def renames(lab: Lab) -> Any:
    return json.loads((lab.home.data / "control.json").read_text()).get("renames")


def test_runs_are_filtered_by_state_and_by_text_in_their_code(lab: Lab) -> None:
    run = record(lab, "filtered", "very_special_word = 1", notebook="filtered.ipynb")
    for q in ("very_special_word", "filtered.ipynb"):
        assert [found["id"] for found in lab.api(f"runs?q={q}")["runs"]] == [run], q
    assert run in [found["id"] for found in lab.api("runs?q=finished&limit=1000")["runs"]]
    assert [file["path"] for file in lab.api(f"runs/{run}")["code"]] == ["_session_history.ipynb"]
