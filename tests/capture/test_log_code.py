"""log_code() keeps the source below a folder, and what is not source stays out."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.blobs import packs
from jupyter_codesave.blobs.envelope import decode
from jupyter_codesave.capture.files import Found
from jupyter_codesave.capture.tree import walk
from tests.capture.journals import all_events, the_journal
from tests.conftest import isolated, scale

KEPT = {
    "train.py": "x = 1\n",
    "src/pkg/__init__.py": "",
    "src/pkg/model.pyi": "y: int\n",
    "requirements.txt": "numpy\n",
    "pyproject.toml": "[project]\n",
    "environment.yml": "name: x\n",
    "Dockerfile": "FROM scratch\n",
    "docker/Dockerfile.gpu": "FROM scratch\n",
    "ünï.py": "z = 1\n",
}
LEFT_OUT = {
    "data.csv": "1,2\n",
    "ignored.py": "",
    "build/out.py": "",
    "src/local_only.py": "",
    "src/pkg/__pycache__/model.py": "",
    ".git/hooks/hook.py": "",
    ".ipynb_checkpoints/train-checkpoint.py": "",
    "node_modules/tool/x.py": "",
    "env/lib/python3/site.py": "",
    ".venv/x.py": "",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with all that a folder of source may hold."""
    folder = tmp_path / "work"
    for name, text in {**KEPT, **LEFT_OUT}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "env" / "pyvenv.cfg").write_text("")
    (folder / ".venv" / "pyvenv.cfg").write_text("")
    (folder / ".gitignore").write_text("ignored.py\n/build/\n*.tmp.py\n!kept.tmp.py\n")
    (folder / "src" / ".gitignore").write_text("local_only.py\n")
    (folder / "kept.tmp.py").write_text("k = 1\n")
    return folder


def log_code(project: Path, call: str, **more: str) -> list[Any]:
    """Run `call` in a script below an initialised run; give what it printed as JSON lines."""
    code = (
        "import json, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import jupyter_codesave as c\n"
        "run = c.init(project='p')\n"
        "def show(artifact):\n"
        "    if artifact is None: return None\n"
        "    return {'name': artifact.name, 'files': sorted(artifact.files),\n"
        "            'sizes': artifact.size, 'skipped': artifact.skipped, 'repr': repr(artifact)}\n"
        f"{call}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**isolated(project.parent), **more},
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def kept_bytes(data: Path) -> dict[str, bytes]:
    """Give the bytes that packs in the spool hold, by digest."""
    found = {}
    for path in (data / "spool" / "packs").glob("??/*"):
        whole = path.read_bytes()
        for member in packs.members(whole):
            envelope = whole[member.offset : member.offset + member.length]
            found[member.digest] = decode(envelope, lambda digest: b"")
    return found


def test_source_is_kept_and_the_rest_left_out(project: Path, data: Path) -> None:
    (shown,) = log_code(project, "print(json.dumps(show(run.log_code())))")
    assert shown["files"] == sorted([*KEPT, "kept.tmp.py"])
    (event,) = all_events(the_journal(data), "artifact")
    assert event["own"] is True
    assert event["name"].startswith("source-p-")
    stored = kept_bytes(data)
    for entry in event["files"]:
        assert stored[entry["digest"]] == (project / entry["path"]).read_bytes()


def test_a_name_makes_an_artifact_of_its_own(project: Path, data: Path) -> None:
    log_code(project, "run.log_code('src', name='mine')")
    (event,) = all_events(the_journal(data), "artifact")
    assert (event["name"], event["own"]) == ("mine", False)
    assert [entry["path"] for entry in event["files"]] == ["pkg/__init__.py", "pkg/model.pyi"]


def test_callbacks_of_one_and_two_parameters(project: Path) -> None:
    one, two, out = log_code(
        project,
        "def one(path): return path.endswith('.csv')\n"
        "def two(path, root): return path == root + '/data.csv'\n"
        "def out(path, root): return not path.endswith('.py')\n"
        "print(json.dumps(show(run.log_code(include_fn=one))))\n"
        "print(json.dumps(show(run.log_code(include_fn=two))))\n"
        "print(json.dumps(show(run.log_code(exclude_fn=out))))",
    )
    assert one["files"] == two["files"] == ["data.csv"]
    assert all(path.endswith(".py") for path in out["files"])
    assert len(out["files"]) == 4


def test_a_dry_run_tells_and_keeps_nothing(project: Path, data: Path) -> None:
    (shown,) = log_code(project, "print(json.dumps(show(run.log_code(dry_run=True))))")
    assert shown["sizes"] == sum((project / path).stat().st_size for path in shown["files"])
    assert "would hold" in shown["repr"]
    assert all_events(the_journal(data), "artifact") == []
    assert kept_bytes(data) == {}


def test_a_dangling_link_is_told_and_the_rest_is_kept(project: Path) -> None:
    (project / "gone.py").symlink_to("nowhere.py")
    (shown,) = log_code(project, "print(json.dumps(show(run.log_code())))")
    assert shown["skipped"] == {"gone.py": "a broken link"}
    assert "train.py" in shown["files"]


def test_nothing_there_is_none(project: Path) -> None:
    (project / "empty").mkdir()
    assert log_code(
        project,
        "print(json.dumps(show(run.log_code('empty'))))\n"
        "print(json.dumps(show(run.log_code('not-there'))))",
    ) == [None, None]


def test_wrong_calls_raise_what_callers_expect(project: Path) -> None:
    calls = {
        "run.log_code(name='')": "ValueError",
        "run.log_code(name='x' * 129)": "ValueError",
        "run.log_code(name=7)": "TypeError",
        "run.log_code(include_fn=3)": "TypeError",
        "run.log_code(exclude_fn='x')": "TypeError",
        "(run.finish(), run.log_code())": "UsageError",
    }
    tries = "\n".join(
        f"try:\n    {call}\n    print('null')\nexcept Exception as error:\n"
        "    print(json.dumps(type(error).__name__))"
        for call in calls
    )
    assert log_code(project, tries) == list(calls.values())


def test_a_name_that_no_artifact_can_have_is_made_to_fit(project: Path, data: Path) -> None:
    assert log_code(
        project,
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    print(json.dumps(run.log_code(name='a/b c').name))\n"
        "print(json.dumps(\"'a/b c' is kept as 'a-b-c'\" in str(said[0].message)))",
    ) == ["a-b-c", True]


def test_code_dir_logs_without_a_call(project: Path, data: Path) -> None:
    log_code(project, "c.init(settings=c.Settings(code_dir='src')).finish()")
    (event,) = all_events(the_journal(data), "artifact")
    assert event["own"] is True
    assert [entry["path"] for entry in event["files"]] == ["pkg/__init__.py", "pkg/model.pyi"]


@pytest.mark.parametrize("files", [3, 300])
def test_code_dir_is_kept_by_a_script_that_ends_at_once(
    project: Path, data: Path, files: int
) -> None:
    (project / "many").mkdir()
    for number in range(files):
        (project / "many" / f"m{number}.py").write_text(f"m = {number}\n")
    (project / "at_once.py").write_text(
        "import jupyter_codesave as c\nc.init(settings=c.Settings(code_dir='many'))\n"
    )
    subprocess.run(
        [sys.executable, "at_once.py"],
        env=isolated(project.parent),
        cwd=project,
        timeout=120,
        check=True,
    )
    (event,) = all_events(the_journal(data), "artifact")
    assert len(event["files"]) == files
    assert {entry["digest"] for entry in event["files"]} <= set(kept_bytes(data))


def test_what_has_not_changed_is_not_read_again(project: Path) -> None:
    watched = (
        "import os\nfrom jupyter_codesave.blobs import statcache\n"
        "statcache._RACY_NS = 0\n"
        "opened = []\n"
        "def note(event, args):\n"
        "    mine = event == 'open' and str(args[0]).startswith(os.getcwd())\n"
        "    if mine and str(args[0]).endswith('.py'): opened.append(str(args[0]))\n"
        "run.log_code()\n"
        "sys.addaudithook(note)\n"
        "run.log_code()\n"
        "print(json.dumps(opened))\n"
        "open('train.py', 'w').write('changed')\n"
        "opened.clear()\n"
        "run.log_code()\n"
        "print(json.dumps(opened))"
    )
    unchanged, changed = log_code(project, watched)
    assert unchanged == []
    assert [os.path.basename(path) for path in changed] == ["train.py"]


def test_rules_of_the_repository_above_count_too(project: Path) -> None:
    found = [file.path for file in walk(str(project / "src")) if isinstance(file, Found)]
    assert found == [".gitignore", "pkg/__init__.py", "pkg/model.pyi"]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
        cwd=folder,
        capture_output=True,
        check=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
    )


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n")


def walked(folder: Path) -> list[str]:
    """Give the Python files that are found below a folder."""
    found = [file.path for file in walk(str(folder)) if isinstance(file, Found)]
    return [path for path in found if path.endswith(".py")]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def test_the_users_own_file_of_rules_counts(checkout: Path, tmp_path: Path) -> None:
    write(checkout, "a.py", "scratch_b.py", "deep/scratch_c.py")
    write(tmp_path / "home" / ".config" / "git", "ignore")
    (tmp_path / "home" / ".config" / "git" / "ignore").write_text("scratch_*\n")
    assert walked(checkout) == ["a.py"]
    (tmp_path / "home" / "rules").write_text("a.py\n")
    git(checkout, "config", "core.excludesFile", "~/rules")
    assert walked(checkout) == ["deep/scratch_c.py", "scratch_b.py"]
    git(checkout, "config", "core.excludesFile", "")
    assert walked(checkout) == ["a.py", "deep/scratch_c.py", "scratch_b.py"]


def test_rules_outside_of_the_tree_count_in_a_worktree_too(checkout: Path, tmp_path: Path) -> None:
    write(checkout, "a.py", "deep/b.py")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "first")
    (checkout / ".git" / "info" / "exclude").write_text("local_*\n")
    git(checkout, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    write(tmp_path / "tree", "local_a.py", "deep/local_b.py")
    assert walked(tmp_path / "tree") == ["a.py", "deep/b.py"]
    assert walked(tmp_path / "tree" / "deep") == ["b.py"]


def test_what_git_tracks_is_not_ignored(checkout: Path) -> None:
    write(checkout, "kept.gen.py", "out/deep/kept.py", "build/x.py")
    git(checkout, "add", "-A")
    git(checkout, "rm", "-q", "--cached", "build/x.py")
    (checkout / ".gitignore").write_text("*.gen.py\nout/\nbuild/\n")
    write(checkout, "other.gen.py", "out/deep/other.py", "out/more/other.py")
    assert walked(checkout) == ["kept.gen.py", "out/deep/kept.py"]
    assert walked(checkout / "out") == ["deep/kept.py", "deep/other.py", "more/other.py"]


@pytest.mark.parametrize("rule", ["ign/", "ign", "/ign/*", "ign/**", "/ign", "*\n!*.py"])
def test_an_ignored_folder_that_is_named_is_taken(checkout: Path, rule: str) -> None:
    write(checkout, "ign/a.py", "ign/deep/b.py", "ign/c.tmp.py", "ign/deep/local.py", "d.py")
    (checkout / "ign" / "deep" / ".gitignore").write_text("local.py\n")
    (checkout / ".gitignore").write_text(f"{rule}\n*.tmp.py\n")
    assert walked(checkout) == ["d.py"]
    assert walked(checkout / "ign") == ["a.py", "deep/b.py"]
    assert walked(checkout / "ign" / "deep") == ["b.py"]


def test_a_line_that_is_no_pattern_matches_nothing(checkout: Path) -> None:
    write(checkout, "a.py", "b.py")
    (checkout / ".gitignore").write_text("!\n[z-a]\na\\\n[\n[[:alpha:]]x\nb.py\n", "utf-8")
    assert walked(checkout) == ["a.py"]


def test_a_repository_within_has_rules_of_its_own(checkout: Path) -> None:
    write(
        checkout,
        "inner/a.gen.py",
        "inner/local.py",
        "inner/own.py",
        "inner/own_kept.py",
        "b.gen.py",
    )
    git(checkout / "inner", "init", "-q")
    git(checkout / "inner", "add", "own_kept.py")
    (checkout / ".gitignore").write_text("*.gen.py\n")
    (checkout / "inner" / ".gitignore").write_text("own*\n")
    (checkout / "inner" / ".git" / "info" / "exclude").write_text("local.py\n")
    assert walked(checkout) == ["inner/a.gen.py", "inner/own_kept.py"]


def test_it_agrees_with_git_about_random_rules(checkout: Path) -> None:
    parts = ["a", "b.py", "*.py", "c*", "a/", "/a", "**/a", "a/**", "/a/c1", "!b.py", "!/a/b.py"]
    parts += [
        "a/*",
        "!a/c1/",
        "[bc]*",
        "c?.py",
        "/**/b.py",
        "\\!x.py",
        "a/**/b.py",
        "!c1.py",
        "# x",
    ]
    for seed in range(scale(10)):
        dice = random.Random(seed)
        folders = ["", "a/", "a/c1/", "c2/a/", "x/"]
        names = [f + n for f in folders for n in ("b.py", "c1.py", "!x.py", "d.py")]
        write(checkout, *names)
        for folder in folders:
            rules = "\n".join(dice.choices(parts, k=dice.randrange(4)))
            (checkout / folder / ".gitignore").write_text(rules)
        git(checkout, "rm", "-q", "-r", "--cached", "--ignore-unmatch", ".")
        git(checkout, "add", "-f", *dice.sample(names, 3))
        listed = subprocess.run(
            ["git", "ls-files", "-c", "-o", "--exclude-standard"],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        expected = sorted(path for path in listed if path.endswith(".py"))
        assert sorted(walked(checkout)) == expected, seed


def test_git_is_started_a_few_times_and_not_for_each_file(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    real = shutil.which("git")
    (tmp_path / "bin" / "git").write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\nexec {real} "$@"\n'
    )
    (tmp_path / "bin" / "git").chmod(0o755)
    write(checkout, *(f"deep{n % 7}/m{n}.py" for n in range(100)))
    (checkout / ".gitignore").write_text("m1*.py\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert len(walked(checkout)) == 89
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len([call for call in calls if " ls-files " in call]) == 1
    assert len(calls) <= 5


def test_the_version_is_known_once_it_is_ingested(project: Path) -> None:
    named, own = log_code(
        project,
        "named = run.log_code('src', name='mine')\n"
        "print(json.dumps(named.wait(60).version))\n"
        "own = run.log_code()\n"
        "run.finish()\n"
        "print(json.dumps(own.wait(60).version))",
    )
    assert (named, own) == ("v0", "v0")
