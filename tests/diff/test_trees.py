"""Manifest against manifest, run against run, session against notebook."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_codesave.diff.notebooks import Options
from jupyter_codesave.diff.trees import SESSION, Files, Side, compare, run_facts
from jupyter_codesave.errors import NotFoundError, UsageError

from .made import code_cell, notebook, stream


def book(*sources: str, **more: Any) -> bytes:
    cells = [code_cell(text, id=f"c{n}", **more) for n, text in enumerate(sources)]
    return json.dumps(notebook(cells)).encode()


def ran(*sources: str) -> bytes:
    cells = [
        code_cell(text, id=f"c{n}", metadata={"codesave": {"execution": n + 1, "cell_id": f"c{n}"}})
        for n, text in enumerate(sources)
    ]
    return json.dumps(notebook(cells)).encode()


def sides(base: dict[str, bytes], head: dict[str, bytes], kind: str = "run") -> tuple[Side, Side]:
    return Side("@2", Files(base), kind), Side("@1", Files(head), kind)


def files(base: dict[str, bytes], head: dict[str, bytes], **options: Any) -> dict[str, Any]:
    answer = compare(*sides(base, head), **options)
    json.dumps(answer, allow_nan=False)
    return {file["path"]: file for file in answer["files"]}


def test_files_are_added_removed_modified_or_unchanged() -> None:
    found = files(
        {"same.py": b"a\n", "old.py": b"gone\n", "x.py": b"a\nb\n"},
        {"same.py": b"a\n", "new.py": b"fresh start\n", "x.py": b"a\nc\n"},
    )
    assert {path: file["status"] for path, file in found.items()} == {
        "new.py": "added",
        "old.py": "removed",
        "same.py": "unchanged",
        "x.py": "modified",
    }
    assert found["x.py"]["diff"] == "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert found["x.py"]["counts"]["added"] == 1
    assert found["new.py"]["diff"].startswith("--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+fresh")
    assert (found["new.py"]["base"], found["old.py"]["head"]) == (None, None)
    assert found["same.py"]["diff"] == ""


def test_a_renamed_file_is_found_by_its_digest() -> None:
    found = files({"a/x.bin": b"\0\1\2"}, {"b/x.bin": b"\0\1\2"})
    assert found["b/x.bin"]["status"] == "renamed"
    assert found["b/x.bin"]["base_path"] == "a/x.bin"
    assert found["b/x.bin"]["changed"]


def test_a_renamed_and_edited_file_is_found_by_its_lines() -> None:
    text = "".join(f"line {n}\n" for n in range(20))
    found = files({"old.py": text.encode()}, {"new.py": (text + "more\n").encode()})
    assert found["new.py"]["status"] == "renamed"
    assert found["new.py"]["counts"]["added"] == 1


def test_notebooks_are_compared_cell_by_cell() -> None:
    found = files({"n.ipynb": book("a", "b")}, {"n.ipynb": book("a", "c + b")})["n.ipynb"]
    assert (found["kind"], found["status"]) == ("notebook", "modified")
    assert [cell["change"] for cell in found["cells"]] == ["unchanged", "modified"]
    assert "notebooks" not in found


def test_noise_alone_leaves_a_notebook_unchanged_with_a_diff() -> None:
    base, head = book("a", execution_count=1), book("a", execution_count=2)
    answer = compare(*sides({"n.ipynb": base}, {"n.ipynb": head}))
    (file,) = answer["files"]
    assert (file["status"], file["changed"], answer["changed"]) == ("unchanged", False, False)
    assert file["diff"]
    loud = compare(*sides({"n.ipynb": base}, {"n.ipynb": head}), options=Options(noise=True))
    assert loud["changed"]


def test_full_adds_both_normal_forms() -> None:
    found = files({"n.ipynb": book("a")}, {"n.ipynb": book("b")}, notebooks="full")["n.ipynb"]
    assert found["notebooks"]["base"]["cells"][0]["source"] == "a"
    assert found["notebooks"]["head"]["cells"][0]["source"] == "b"


def test_an_added_notebook_has_all_its_cells_added() -> None:
    found = files({}, {"n.ipynb": book("a", "b")})["n.ipynb"]
    assert found["status"] == "added"
    assert found["counts"]["added"] == 2


def test_a_notebook_that_is_none_is_shown_as_text() -> None:
    found = files({"n.ipynb": b"{}"}, {"n.ipynb": b"<<<<<<< HEAD\n"})["n.ipynb"]
    assert found["kind"] == "text"
    assert "+<<<<<<< HEAD" in found["diff"]


def test_binary_files_have_no_diff_but_a_type() -> None:
    found = files({"plot.png": b"\x89PNG\0a"}, {"plot.png": b"\x89PNG\0b"})["plot.png"]
    assert (found["kind"], found["diff"], found["mime"]) == ("binary", None, "image/png")
    assert found["base"]["digest"] != found["head"]["digest"]


def test_one_file_is_picked_by_its_name_on_either_side() -> None:
    trees = {"a.py": b"1\n", "b.py": b"2\n"}, {"a.py": b"3\n", "c.py": b"2\n"}
    (file,) = compare(*sides(*trees), path="b.py", texts=True)["files"]
    assert (file["path"], file["base_path"]) == ("c.py", "b.py")
    assert file["texts"] == {"base": "2\n", "head": "2\n"}
    with pytest.raises(NotFoundError, match=r"no\.py"):
        compare(*sides(*trees), path="no.py")


def test_an_unknown_way_to_add_notebooks_is_refused() -> None:
    with pytest.raises(UsageError, match="some"):
        compare(*sides({}, {}), notebooks="some")


def test_a_run_against_a_notebook_on_disk_compares_what_ran() -> None:
    run = Side("@1", Files({SESSION: ran("a = 1", "b = 2"), "n.ipynb": book("saved")}))
    file = Side("./n.ipynb", Files({"n.ipynb": book("a = 1", "b = 3")}), "path")
    (found,) = compare(run, file)["files"]
    assert found["session"]
    assert (found["path"], found["base_path"]) == ("n.ipynb", SESSION)
    assert found["status"] == "modified"
    assert [cell["change"] for cell in found["cells"]] == ["unchanged", "modified"]
    (back,) = compare(file, run)["files"]
    assert back["counts"] == found["counts"]


def test_what_ran_is_known_as_such_without_metadata_and_outputs() -> None:
    run = Side("@1", Files({SESSION: ran("a = 1", "b = 2", "b = 2"), "n.ipynb": book("saved")}))
    file = Side("./n.ipynb", Files({"n.ipynb": book("a = 1", "b = 3")}), "path")
    for options in (Options(metadata=False), Options(outputs=False, metadata=False)):
        (found,) = compare(run, file, options=options, notebooks="full")["files"]
        assert found["session"]
        assert found["counts"] == compare(run, file)["files"][0]["counts"]
        assert not any(cell["metadata"] for cell in found["notebooks"]["base"]["cells"])


def test_two_files_on_disk_are_compared_whatever_their_names() -> None:
    base = Side("./a.py", Files({"a.py": b"1\n"}), "path")
    head = Side("./b.py", Files({"b.py": b"2\n"}), "path")
    (file,) = compare(base, head)["files"]
    assert file["status"] == "modified"


def test_a_file_that_appears_in_many_places_is_each_time_one_pair() -> None:
    found = files({"a": b"x\n", "b": b"x\n"}, {"c": b"x\n", "b": b"x\n", "d": b"x\n"})
    assert {path: file["status"] for path, file in found.items()} == {
        "b": "unchanged",
        "c": "renamed",
        "d": "added",
    }


def test_the_facts_of_two_runs_are_compared() -> None:
    base = {
        "git": {"commit": "abc", "dirty": True},
        "environment": {"packages": {"numpy": "1", "same": "1", "gone": "1"}},
        "config": {"lr": 0.1, "n": 3},
        "argv": ["a.py"],
    }
    head = {
        "git": {"commit": "def", "dirty": False},
        "environment": {"packages": {"numpy": "2", "same": "1"}},
        "config": {"lr": 0.2, "n": 3},
        "argv": ["a.py", "--fast"],
    }
    assert run_facts(base, head) == {
        "git": {"base": base["git"], "head": head["git"]},
        "packages": [
            {"name": "gone", "base": "1", "head": None},
            {"name": "numpy", "base": "1", "head": "2"},
        ],
        "config": [{"key": "lr", "base": 0.1, "head": 0.2}],
        "argv": {"base": ["a.py"], "head": ["a.py", "--fast"]},
    }


def test_nothing_of_a_run_is_lost_in_a_file_on_disk_which_has_no_facts() -> None:
    run = {
        "git": {"commit": "abc", "branch": "main", "dirty": True},
        "environment": {"packages": {"numpy": "1"}},
        "config": {"lr": 0.1},
        "argv": ["a.py"],
    }
    nothing = {"base": None, "head": None}
    for pair in ((run, None), (None, run), (None, None)):
        assert run_facts(*pair) == {
            "git": nothing,
            "packages": [],
            "config": [],
            "argv": nothing,
        }


def test_outputs_left_out_are_in_no_answer() -> None:
    base = json.dumps(notebook([code_cell("a", stream("canary 1"))])).encode()
    head = json.dumps(notebook([code_cell("a", stream("canary 2"))])).encode()
    answer = compare(
        *sides({"n.ipynb": base}, {"n.ipynb": head}),
        options=Options(outputs=False),
        notebooks="full",
    )
    assert "canary" not in json.dumps(answer)
    assert not answer["changed"]
