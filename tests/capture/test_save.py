"""save() names the same files as the system it follows, and raises the same errors."""

from __future__ import annotations

import ast
import glob
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.capture.files import Found, Named, expand, files_of
from tests.capture.journals import all_events, the_journal
from tests.conftest import isolated

ORACLE = json.loads((Path(__file__).parent / "save.json").read_text("utf-8"))

# Cases beyond the measured ones, and where we differ on purpose: `*`, `**`, broken links.
OWN: list[dict[str, Any]] = [
    {"id": "star with suffix", "args": ["*.py"], "saved": ["c.py"]},
    # A broken link is reported and skipped; the original links to it.
    {"id": "broken link", "args": ["broken.txt"], "saved": []},
    {"id": "glob meets a broken link", "args": ["b*.txt"], "saved": ["b.txt"]},
    # `**` recurses; the original takes it for `*`.
    {"id": "recursive", "args": ["dir/**/*.txt"], "saved": ["dir/sub/y.txt", "dir/x.txt"]},
    {"id": "dot", "args": ["."], "raises": "ValueError"},
    {"id": "root", "args": ["/"], "raises": "ValueError"},
    {"id": "above", "args": ["../outside/o.txt"], "raises": "ValueError"},
    {"id": "trailing slash", "args": ["dir/"], "saved": ["dir"]},
    {"id": "dotted", "args": ["./dir/../a.txt"], "saved": ["a.txt"]},
    {"id": "int", "args": [7], "raises": "TypeError"},
    {"id": "list", "args": [["a.txt"]], "raises": "TypeError"},
    {"id": "int base", "args": ["a.txt"], "kwargs": {"base_path": 7}, "raises": "TypeError"},
    {"id": "policy in capitals", "args": ["a.txt"], "kwargs": {"policy": "Live"},
     "raises": "ValueError"},
    {"id": "bracket taken literally", "args": ["file[1].txt"], "kwargs": {"glob": False},
     "saved": ["file[1].txt"]},
    {"id": "bracket as a class", "args": ["file[1].txt"], "saved": []},
    {"id": "s3", "args": ["s3://bucket/key"], "saved": []},
    {"id": "http", "args": ["http://example.org/x"], "saved": []},
    {"id": "s3, whatever the policy", "args": ["s3://b/k"], "kwargs": {"policy": None},
     "saved": []},
    {"id": "http outside of the base", "args": ["http://example.org/x"],
     "kwargs": {"base_path": "dir"}, "raises": "ValueError"},
    {"id": "http and no policy", "args": ["http://example.org/x"], "kwargs": {"policy": "x"},
     "raises": "ValueError"},
    {"id": "question mark", "args": ["?.txt"], "saved": ["a.txt", "b.txt"]},
    {"id": "path", "args": ["Path:dir/x.txt"], "saved": ["dir/x.txt"]},
    {"id": "link to a file", "args": ["link.txt"], "saved": ["link.txt"]},
    {"id": "link to a folder", "args": ["linkdir"], "saved": ["linkdir"]},
    {"id": "now", "args": ["a.txt"], "kwargs": {"policy": "now"}, "saved": ["a.txt"]},
]  # fmt: skip


def _lay_out(root: Path) -> None:
    for name in ORACLE["fixture"]["files"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"bytes of {name}")
    for name in ORACLE["fixture"]["dirs"]:
        (root / name).mkdir(parents=True)
    for link, target in ORACLE["fixture"]["symlinks"].items():
        (root / link).symlink_to(target)


def _value(given: Any, root: Path) -> Any:
    if not isinstance(given, str):
        return given
    if given.startswith("b'"):
        return ast.literal_eval(given)
    if given.startswith("Path:"):
        return Path(given[5:])
    return given.replace("$T", str(root))


ASK = """
import json, os, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import jupyter_codesave as codesave
cases = eval(sys.stdin.read())
run = codesave.init(project="p")
base = os.path.join(run.dir, "files")
for args, kwargs in cases:
    try:
        links = run.save(*args, **kwargs)
        assert links == sorted(links) and all(map(os.path.lexists, links)), links
        answer = {"saved": [os.path.relpath(link, base) for link in links]}
    except Exception as error:
        answer = {"raises": type(error).__name__}
    print(json.dumps(answer))
run.finish()
"""


@pytest.fixture
def answers(tmp_path: Path) -> Any:
    """Ask a script for what save() answers to cases, in the fixture's folder."""
    root = tmp_path / "root"
    _lay_out(root)

    def ask(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        calls = [
            (
                [_value(each, root) for each in case["args"]],
                {name: _value(each, root) for name, each in case.get("kwargs", {}).items()},
            )
            for case in cases
        ]
        text = repr(calls).replace("PosixPath(", "Path(")
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            input=text,
            env=isolated(tmp_path),
            cwd=root / "cwd",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def test_every_measured_case_gives_the_same_paths_or_the_same_error(answers: Any) -> None:
    cases = ORACLE["cases"]
    for case, answer in zip(cases, answers(cases), strict=True):
        wanted = {"raises": case["raises"]} if case["raises"] else {"saved": case["saved"]}
        assert answer == wanted, case


def test_cases_beyond_the_measured_ones_and_the_deliberate_improvements(answers: Any) -> None:
    for case, answer in zip(OWN, answers(OWN), strict=True):
        wanted = {"raises": case["raises"]} if case.get("raises") else {"saved": case["saved"]}
        assert answer == wanted, case


def test_a_folder_is_saved_with_all_that_is_below_it(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    _script(tmp_path, "run.save('dir', policy='now'); run.save('linkdir', policy='end')")
    files = {event["path"]: event for event in all_events(the_journal(data), "file")}
    assert sorted(files) == [
        *("dir/sub/y.txt", "dir/sub/z.py", "dir/x.txt"),
        *("linkdir/sub/y.txt", "linkdir/sub/z.py", "linkdir/x.txt"),
    ]
    assert _spooled(data, files["dir/x.txt"]) == b"bytes of cwd/dir/x.txt"


def test_now_is_a_snapshot_that_a_later_change_does_not_touch(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    _script(tmp_path, "run.save('a.txt', policy='now'); open('a.txt', 'w').write('later')")
    (event,) = all_events(the_journal(data), "file")
    assert _spooled(data, event) == b"bytes of cwd/a.txt"


def test_live_and_end_keep_the_last_state(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    change = "open('a.txt', 'w').write('last'); open('b.txt', 'w').write('last, too')"
    _script(tmp_path, f"run.save('a.txt'); run.save('b.txt', policy='end'); {change}")
    last = {event["path"]: event for event in all_events(the_journal(data), "file")}
    assert _spooled(data, last["a.txt"]) == b"last"
    assert _spooled(data, last["b.txt"]) == b"last, too"


def test_broken_links_and_links_out_of_the_base_are_told_and_skipped(
    tmp_path: Path, data: Path
) -> None:
    _lay_out(tmp_path / "root")
    folder = tmp_path / "root" / "cwd" / "dir"
    (folder / "out.txt").symlink_to(tmp_path / "root" / "outside" / "o.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "gone").symlink_to("nowhere")
    _script(tmp_path, "run.save('dir', policy='now')")
    missing = {e["path"]: e["reason"] for e in all_events(the_journal(data), "file-missing")}
    assert sorted(missing) == ["dir/gone", "dir/loop", "dir/out.txt"]
    assert missing["dir/gone"] == "a broken link"
    assert "follow_links=True" in missing["dir/out.txt"]


def test_links_out_of_the_base_are_followed_when_asked(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    (tmp_path / "root" / "cwd" / "out.txt").symlink_to(tmp_path / "root" / "outside" / "o.txt")
    _script(tmp_path, "run.save('out.txt', policy='now', follow_links=True)")
    (event,) = all_events(the_journal(data), "file")
    assert _spooled(data, event) == b"bytes of outside/o.txt"


def test_more_than_the_limit_is_not_stored_unless_forced(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    calls = "a = run.save('a.txt', policy='now'); b = run.save('b.txt', policy='now', force=True)"
    printed = _script(tmp_path, f"{calls}; print(len(a), len(b))", CODESAVE_MAX_SAVE_SIZE="5")
    assert printed.strip() == "0 1"
    (event,) = all_events(the_journal(data), "file")
    assert event["path"] == "b.txt"


def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"na\xffme.txt")
    (tmp_path / name).write_text("x")
    (named,) = expand(os.fsencode(tmp_path / name), tmp_path)
    (found,) = files_of(named)
    assert isinstance(found, Found)
    assert os.fsencode(found.path) == b"na\xffme.txt"


def test_a_name_that_could_not_be_restored_is_told(tmp_path: Path) -> None:
    (tmp_path / "a\\b").write_text("x")
    told = list(files_of(Named(str(tmp_path / "a\\b"), "a\\b")))
    assert isinstance(told[0], tuple)
    assert "backslash" in told[0][1]


def test_links_that_lead_in_circles_are_walked_once(tmp_path: Path, data: Path) -> None:
    work = tmp_path / "root" / "cwd"
    loop = work / "loop"
    loop.mkdir(parents=True)
    for link in "ab":
        (loop / link).symlink_to(".")
    (loop / "x.csv").write_text("x")
    names = [f"n{number}" for number in range(9)]
    for name in names:
        (work / "mesh" / name).mkdir(parents=True)
        (work / "mesh" / name / "y.csv").write_text(name)
        for other in names:
            (work / "mesh" / name / f"to-{other}").symlink_to(f"../{other}")
    printed = _script(
        tmp_path,
        "print(len(run.save('loop/**/*.csv')), len(run.save('mesh', policy='now')))",
    )
    assert printed == "1 1\n"
    files = [event["path"] for event in all_events(the_journal(data), "file")]
    assert sorted(set(files)) == ["loop/x.csv", *(f"mesh/{name}/y.csv" for name in names)]
    missing = {e["path"]: e["reason"] for e in all_events(the_journal(data), "file-missing")}
    assert missing["mesh/n0/to-n1"] == "the same folder as mesh/n1"
    assert len(missing) == 81


def test_a_file_is_kept_by_its_own_name_rather_than_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "runs" / "run-3").mkdir(parents=True)
    (tmp_path / "runs" / "run-3" / "model").write_text("m")
    (tmp_path / "runs" / "latest").symlink_to("run-3")
    found = list(files_of(Named(str(tmp_path / "runs"), "runs")))
    assert [each.path for each in found if isinstance(each, Found)] == ["runs/run-3/model"]
    assert ("runs/latest", "the same folder as runs/run-3") in found


def test_two_stars_name_what_they_name_to_glob_but_for_links_to_folders(tmp_path: Path) -> None:
    _lay_out(tmp_path / "root")
    work = tmp_path / "root" / "cwd"
    (work / "dir" / ".hidden").mkdir()
    (work / "dir" / ".hidden" / "h.txt").write_text("")
    for pattern in ("dir/**", "**/*.txt", "dir/**/y.txt", "d*/**/*.txt", "dir/**/**/*.py", "**"):
        named = {each.source for each in expand(str(work / pattern), work)}
        wanted = {
            os.path.normpath(path) for path in glob.glob(str(work / pattern), recursive=True)
        } - {str(work)}
        assert named == {path for path in wanted if "linkdir/" not in path}, pattern
    through = expand(str(work / "linkdir/**/*.txt"), work)
    assert [each.path for each in through] == ["linkdir/sub/y.txt", "linkdir/x.txt"]


def test_a_tree_deeper_than_python_recurses_is_saved(tmp_path: Path, data: Path) -> None:
    (tmp_path / "root" / "cwd").mkdir(parents=True)
    depth = 120
    body = (
        "import os, sys; here = os.getcwd()\n"
        "for name in ['top'] + ['d'] * %d:\n    os.mkdir(name); os.chdir(name)\n"
        "open('leaf', 'w').write('x'); os.chdir(here)\n"
        "run.save('top/d', policy='now'); sys.setrecursionlimit(100)\n"
        "print([len(run.save(name, policy='now')) for name in ('top', 'top/**/leaf')])"
    )
    assert _script(tmp_path, body % depth) == "[1, 1]\n"
    (path,) = {event["path"] for event in all_events(the_journal(data), "file")}
    assert path.count("/") == depth + 1


def test_what_is_neither_file_nor_folder_is_told_and_gets_no_link(
    tmp_path: Path, data: Path
) -> None:
    _lay_out(tmp_path / "root")
    work = tmp_path / "root" / "cwd"
    os.mkfifo(work / "fifo")
    (work / "to-fifo").symlink_to("fifo")
    os.mkfifo(work / "dir" / "fifo")
    body = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('sock')\n"
        "print([run.save(name, policy=policy) for policy in ('now', 'live', 'end')\n"
        "    for name in ('fifo', 'to-fifo', 'sock')], run.save('/dev/null'))\n"
        "links = run.save('dir', policy='now')\n"
        "print(os.listdir(os.path.join(run.dir, 'files')))"
    )
    printed = _script(tmp_path, "import os; " + body)
    assert printed == f"{[[]] * 9} []\n['dir']\n"
    missing = {e["path"]: e["reason"] for e in all_events(the_journal(data), "file-missing")}
    assert sorted(missing) == ["dev/null", "dir/fifo", "fifo", "sock", "to-fifo"]
    assert set(missing.values()) == {"neither a file nor a folder"}


def test_what_the_system_makes_up_is_read_without_waiting(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    body = (
        "print(len(run.save('/proc/self/status', policy='now')))\n"
        "run.save('/proc/kmsg', policy='now'); run.save('/proc/kmsg')\n"
        "print(run.save('/proc', policy='now'), run.save('/sys/kernel'))"
    )
    assert _script(tmp_path, body) == "1\n[] []\n"
    files = {event["path"]: event for event in all_events(the_journal(data), "file")}
    assert b"State:" in _spooled(data, files["self/status"])
    assert files["self/status"]["size"] > 0


def test_the_data_folder_is_not_saved_into_itself(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    work = tmp_path / "root" / "cwd"
    body = (
        "run.save('work', policy='now', base_path='.')\n"
        "print(run.save(own), run.save(own + '/journal'), run.save(own + '/**/*.journal'))\n"
        "open(run.dir + '/files/mine.txt', 'w').write('x')\n"
        "print(len(run.save(run.dir + '/files/mine.txt', policy='now')))"
    )
    (work / "work").mkdir()
    (work / "work" / "x.txt").write_text("x")
    own = work / "work" / "own"
    start = f"own = {str(own)!r}; import os\nos.makedirs(run.dir + '/files', exist_ok=True)\n"
    printed = _script(tmp_path, start + body, CODESAVE_DIR=str(own))
    assert printed == "[] [] []\n1\n"
    files = [event["path"] for event in all_events(the_journal(own), "file")]
    assert sorted(files) == ["files/mine.txt", "work/x.txt"]
    missing = {e["path"]: e["reason"] for e in all_events(the_journal(own), "file-missing")}
    assert set(missing.values()) == {"codesave's own folder"}
    assert "work/own" in missing


def test_a_deleted_working_directory_is_told(tmp_path: Path, data: Path) -> None:
    (tmp_path / "root" / "cwd").mkdir(parents=True)
    (tmp_path / "root" / "kept.txt").write_text("k")
    body = (
        "import os, warnings; os.rmdir(os.getcwd()); warnings.simplefilter('error')\n"
        "try:\n    run.save('rel.txt')\nexcept UserWarning as warning:\n    print(warning)\n"
        "warnings.simplefilter('ignore'); print(run.save('rel.txt'), run.save('*.txt', 'base'))\n"
        f"print(len(run.save({str(tmp_path / 'root' / 'kept.txt')!r})))"
    )
    printed = _script(tmp_path, body)
    assert printed == "nothing is saved: the working directory was deleted\n[] []\n1\n"


def test_what_is_named_twice_counts_once_against_the_limit(tmp_path: Path, data: Path) -> None:
    _lay_out(tmp_path / "root")
    body = "print(len(run.save('dir/**', policy='now')))"
    assert _script(tmp_path, body, CODESAVE_MAX_SAVE_SIZE="80") == "5\n"
    files = [event["path"] for event in all_events(the_journal(data), "file")]
    assert sorted(files) == ["dir/sub/y.txt", "dir/sub/z.py", "dir/x.txt"]


def _script(folder: Path, body: str, **more: str) -> str:
    code = f"import jupyter_codesave as codesave\nrun = codesave.init()\n{body}\nrun.finish()\n"
    program = folder / "program.py"
    program.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program)],
        env={**isolated(folder), **more},
        cwd=folder / "root" / "cwd",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _spooled(data: Path, event: dict[str, Any]) -> bytes:
    name = event["digest"].removeprefix("sha256:")
    return (data / "spool" / name[:2] / name[2:]).read_bytes()
