"""Commit plus patch gives the tree back, and secrets stay out."""

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

from jupyter_codesave.capture.git import look
from tests.capture.journals import all_events, is_anywhere, the_journal
from tests.conftest import isolated, scale


def git(folder: Path, *arguments: str, given: bytes | None = None) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        check=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
    )
    return done.stdout.decode().strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text("x = 1\n")
    (folder / "data.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "gone.txt").write_text("to be removed\n")
    (folder / ".gitignore").write_text("*.log\nsecret/\n")
    (folder / "run.sh").write_text("echo\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Give all that git would see: mode and bytes (a link's target) by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if ".git" in relative.parts or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[str(relative)] = (0o120000, os.readlink(path).encode())
        else:
            found[str(relative)] = (path.stat().st_mode & 0o111, path.read_bytes())
    return found


def rebuilt(
    checkout: Path, commit: str, patch: bytes, folder: Path
) -> dict[str, tuple[int, bytes]]:
    """Clone, go to the commit, apply the patch."""
    git(checkout.parent, "clone", "-q", str(checkout), str(folder))
    git(folder, "checkout", "-q", commit)
    if patch:
        git(folder, "apply", "--binary", "--whitespace=nowarn", "-", given=patch)
    return tree(folder)


def make_dirty(folder: Path) -> None:
    (folder / "train.py").write_text("x = 2\nno newline at the end")
    (folder / "data.bin").write_bytes(os.urandom(5000))
    (folder / "gone.txt").unlink()
    (folder / "run.sh").chmod(0o755)
    (folder / "new").mkdir()
    (folder / "new" / "module.py").write_text("y = 1\r\n")
    (folder / "new" / "ünï code.txt").write_text("ü\n", "utf-8")
    (folder / "new" / "image.bin").write_bytes(os.urandom(3000) + b"\0")
    (folder / "new" / "empty").write_text("")
    (folder / "link").symlink_to("train.py")
    (folder / "staged.py").write_text("s = 1\n")
    git(folder, "add", "staged.py")
    (folder / "staged.py").write_text("s = 2\n")


def test_commit_and_patch_give_the_tree_back(checkout: Path, tmp_path: Path) -> None:
    make_dirty(checkout)
    state, patch = look(checkout)
    assert state is not None
    assert state["dirty"] is True
    assert state["branch"] == "main"
    before = git(checkout, "status", "--porcelain")
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)
    assert git(checkout, "status", "--porcelain") == before


def test_random_changes_give_the_tree_back(checkout: Path, tmp_path: Path) -> None:
    for seed in range(scale(5)):
        dice = random.Random(seed)
        for _ in range(12):
            files = [p for p in checkout.rglob("*") if p.is_file() and ".git" not in p.parts]
            what = dice.random()
            if what < 0.3 and files:
                dice.choice(files).unlink()
            elif what < 0.6 and files:
                dice.choice(files).write_bytes(dice.randbytes(dice.randrange(200)))
            else:
                new = checkout / f"d{dice.randrange(3)}" / f"f{dice.randrange(9)}"
                new.parent.mkdir(exist_ok=True)
                new.write_bytes(dice.choice([b"text\n" * 9, dice.randbytes(99), b""]))
            if dice.random() < 0.2:
                git(checkout, "add", "-A")
        state, patch = look(checkout)
        assert state is not None
        assert rebuilt(checkout, state["commit"], patch, tmp_path / f"{seed}") == tree(checkout), (
            seed
        )


def test_a_clean_checkout_has_no_patch(checkout: Path) -> None:
    state, patch = look(checkout)
    assert state is not None
    assert (state["dirty"], patch) == (False, b"")
    assert state["commit"] == git(checkout, "rev-parse", "HEAD")


def test_ignored_files_are_not_in_the_patch(checkout: Path) -> None:
    (checkout / "a.log").write_text("CANARY")
    (checkout / "secret").mkdir()
    (checkout / "secret" / "key").write_text("CANARY")
    (checkout / "train.py").write_text("x = 3\n")
    _, patch = look(checkout)
    assert b"x = 3" in patch
    assert b"CANARY" not in patch


def test_looking_changes_nothing_in_the_repository(checkout: Path) -> None:
    make_dirty(checkout)
    objects = sorted((checkout / ".git" / "objects").rglob("*"))
    index = (checkout / ".git" / "index").read_bytes()
    look(checkout)
    assert sorted((checkout / ".git" / "objects").rglob("*")) == objects
    assert (checkout / ".git" / "index").read_bytes() == index
    assert not (checkout / ".git" / "index.lock").exists()


def test_a_patch_over_the_limit_is_left_out_and_said(checkout: Path) -> None:
    (checkout / "train.py").write_text("x\n" * 10_000)
    state, patch = look(checkout, limit=5000)
    assert state is not None
    assert patch == b""
    assert "max_patch_size" in state["note"]


def test_a_large_untracked_file_is_left_out_and_said(checkout: Path) -> None:
    (checkout / "weights.pt").write_bytes(os.urandom(3 << 20))
    (checkout / "small.py").write_text("small\n")
    state, patch = look(checkout)
    assert state is not None
    assert b"small.py" in patch
    assert b"weights.pt" not in patch
    assert "weights.pt" in state["note"]


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a.py").write_text("a\n")
    state, patch = look(tmp_path)
    assert state is not None
    assert state["commit"] is None
    assert b"a.py" in patch


def test_a_folder_below_the_root_and_a_worktree(checkout: Path, tmp_path: Path) -> None:
    make_dirty(checkout)
    state, patch = look(checkout / "new")
    assert state is not None
    assert state["root"] == str(checkout)
    assert b"train.py" in patch
    git(checkout, "worktree", "add", "-q", str(tmp_path / "tree"), "HEAD", "--detach")
    (tmp_path / "tree" / "train.py").write_text("in the worktree\n")
    state, patch = look(tmp_path / "tree")
    assert state is not None
    assert b"in the worktree" in patch


def test_submodules_are_named_with_their_commit(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "lib.py").write_text("l\n")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "l")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "lib")
    state, _ = look(checkout)
    assert state is not None
    assert state["submodules"] == {"lib": git(other, "rev-parse", "HEAD")}
    assert state["note"] is None
    (checkout / "lib" / "lib.py").write_text("changed\n")
    state, _ = look(checkout)
    assert state is not None
    assert "lib is a submodule with changes" in state["note"]


def test_a_remote_is_kept_without_its_password(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "https://me:CANARY@example.org/x/y.git")
    state, _ = look(checkout)
    assert state is not None
    assert state["remote"] == "https://example.org/x/y.git"


def test_a_data_folder_within_the_checkout_is_not_in_the_patch(checkout: Path) -> None:
    (checkout / "train.py").write_text("import jupyter_codesave as c\nc.init()\n")
    data = checkout / "kept"
    subprocess.run(
        [sys.executable, "train.py"],
        env={**isolated(checkout.parent), "CODESAVE_DIR": str(data)},
        cwd=checkout,
        check=True,
        timeout=60,
    )
    (event,) = all_events(the_journal(data), "git")
    name = event["patch"].removeprefix("sha256:")
    patch = (data / "spool" / name[:2] / name[2:]).read_bytes()
    assert b"train.py" in patch
    assert b"kept/" not in patch


def test_no_repository_is_nothing(tmp_path: Path) -> None:
    assert look(tmp_path) == (None, b"")


def test_a_users_settings_of_git_do_not_matter(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(
        "[color]\n\tui = always\n[diff]\n\tnoprefix = true\n\texternal = /bin/false\n"
        "\trenames = copies\n\tmnemonicPrefix = true\n[core]\n\tfsmonitor = /bin/false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    make_dirty(checkout)
    state, patch = look(checkout)
    assert state is not None
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)


def test_a_script_in_a_dirty_checkout_can_be_rebuilt_whole(checkout: Path, data: Path) -> None:
    make_dirty(checkout)
    (checkout / "train.py").write_text("import jupyter_codesave as c\nc.init()\n")
    git(checkout, "remote", "add", "origin", "https://me:CANARY@example.org/x/y.git")
    subprocess.run(
        [sys.executable, "train.py"],
        env=isolated(checkout.parent),
        cwd=checkout,
        check=True,
        timeout=60,
    )
    (event,) = all_events(the_journal(data), "git")
    name = event["patch"].removeprefix("sha256:")
    patch = (data / "spool" / name[:2] / name[2:]).read_bytes()
    assert event["patch_size"] == len(patch)
    shutil.rmtree(checkout / "__pycache__", ignore_errors=True)
    again = rebuilt(checkout, event["commit"], patch, checkout.parent / "again")
    assert again == tree(checkout)
    assert not is_anywhere(data, "CANARY")


def configure(folder: Path, text: str) -> None:
    with (folder / ".git" / "config").open("a") as config:
        config.write(text)


def marking(folder: Path, name: str) -> tuple[str, Path]:
    """Give a command that leaves a mark when it is run, and then is a filter that does nothing."""
    mark = folder / f"{name}-was-run"
    script = folder / f"{name}.sh"
    script.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    script.chmod(0o755)
    return str(script), mark


def test_nothing_of_the_repository_is_run(checkout: Path, tmp_path: Path) -> None:
    make_dirty(checkout)
    marks = []
    for hook in ("post-index-change", "pre-commit", "post-checkout"):
        script, mark = marking(tmp_path, hook)
        marks.append(mark)
        (checkout / ".git" / "hooks" / hook).write_bytes(Path(script).read_bytes())
        (checkout / ".git" / "hooks" / hook).chmod(0o755)
    (checkout / ".gitattributes").write_text("*.py filter=a=b\n*.bin filter=plain diff=shown\n")
    for key in ("clean", "smudge", "process"):
        for driver in ("a=b", "plain"):
            script, mark = marking(tmp_path, f"{driver}-{key}")
            marks.append(mark)
            required = "\trequired = true\n"
            configure(checkout, f'[filter "{driver}"]\n\t{key} = {script}\n{required}')
    for section, key in (
        ('diff "shown"', "textconv"),
        ('diff "shown"', "command"),
        ("core", "fsmonitor"),
    ):
        script, mark = marking(tmp_path, key)
        marks.append(mark)
        configure(checkout, f"[{section}]\n\t{key} = {script}\n")
    state, patch = look(checkout)
    assert state is not None
    assert [mark.name for mark in marks if mark.exists()] == []
    assert b"+x = 2" in patch
    assert b"b/new/module.py" in patch
    assert "train.py goes through the filter a=b, which was not run" in state["note"]
    assert "data.bin goes through the filter plain" in state["note"]


def test_no_filter_of_a_submodule_is_run(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "lib.py").write_text("l\n")
    (other / ".gitattributes").write_text("*.py filter=own\n")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "l")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "a lib")
    git(checkout, "commit", "-q", "-m", "lib")
    script, mark = marking(tmp_path, "clean")
    git(checkout / "a lib", "config", "filter.own.clean", script)
    (checkout / "a lib" / "lib.py").write_text("k\n")
    state, _ = look(checkout)
    assert state is not None
    assert not mark.exists()
    assert state["dirty"] is True
    assert state["submodules"] == {"a lib": git(other, "rev-parse", "HEAD")}
    assert "a lib is a submodule with changes" in state["note"]


def test_a_filter_that_fails_loses_nothing(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".gitattributes").write_text("*.py filter=lfs\n*.key filter=git-crypt\n")
    (checkout / "a.key").write_text("encrypted\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "attributes")
    for driver in ("lfs", "git-crypt"):
        configure(checkout, f'[filter "{driver}"]\n\tprocess = false\n\trequired = true\n')
    (checkout / "a.key").write_text("CANARY\n")
    (checkout / "b.key").write_text("CANARY\n")
    (checkout / "train.py").write_text("x = 2\n")
    state, patch = look(checkout)
    assert state is not None
    assert b"+x = 2" in patch
    assert b"CANARY" not in patch
    assert "a.key goes through the filter git-crypt, which encrypts" in state["note"]
    assert "b.key goes through the filter git-crypt, which encrypts" in state["note"]
    (checkout / "train.py").write_bytes(os.urandom(3 << 20))
    state, patch = look(checkout)
    assert state is not None
    assert len(patch) < 1000
    assert "train.py goes through the filter lfs, which was not run, and is large" in state["note"]


def test_untracked_files_count_though_status_does_not_show_them(checkout: Path) -> None:
    git(checkout, "config", "status.showUntrackedFiles", "no")
    (checkout / "helper.py").write_text("h = 1\n")
    state, patch = look(checkout)
    assert state is not None
    assert state["dirty"] is True
    assert b"helper.py" in patch


def test_copies_that_jupyter_keeps_of_notebooks_are_not_in_the_patch(checkout: Path) -> None:
    (checkout / "below" / ".ipynb_checkpoints").mkdir(parents=True)
    (checkout / "below" / ".ipynb_checkpoints" / "a-checkpoint.ipynb").write_text("{}")
    (checkout / "below" / "helper.py").write_text("h = 1\n")
    _, patch = look(checkout)
    assert b"helper.py" in patch
    assert b"checkpoint" not in patch


@pytest.mark.parametrize("is_tracked", [True, False])
@pytest.mark.parametrize("how", ["metadata", "tag", "sources", "project", "torn"])
def test_a_notebook_that_is_not_to_be_recorded_is_not_in_the_patch(
    checkout: Path, how: str, is_tracked: bool
) -> None:
    (checkout / "own").mkdir()
    notebook = checkout / "own" / "private.ipynb"
    if is_tracked:
        notebook.write_text("{}")
        git(checkout, "add", "-A")
        git(checkout, "commit", "-q", "-m", "empty")
    output = {"output_type": "stream", "name": "stdout", "text": ["CANARY"]}
    cell: dict[str, Any] = {"cell_type": "code", "source": [], "metadata": {}, "outputs": [output]}
    metadata: dict[str, Any] = {}
    if how == "tag":
        cell["metadata"] = {"tags": ["codesave-skip"]}
    elif how == "project":
        (checkout / "own" / "pyproject.toml").write_text('[tool.codesave]\ncapture = "off"\n')
    elif how != "torn":
        metadata = {"codesave": {"capture": "off" if how == "metadata" else how}}
    text = json.dumps({"cells": [cell], "metadata": metadata})
    notebook.write_text(text + ' "codesave' if how == "torn" else text)
    (checkout / "own" / "public.ipynb").write_text(json.dumps({"cells": [], "metadata": {}}))
    state, patch = look(checkout)
    assert b"CANARY" not in patch
    assert (b"public.ipynb" in patch) is (how != "project")
    assert state is not None
    assert "private.ipynb, or a cell of it, is not to be recorded" in state["note"]


@pytest.mark.parametrize("is_tracked", [True, False])
def test_the_runs_own_notebook_is_not_in_the_patch_but_beside_it(
    checkout: Path, tmp_path: Path, is_tracked: bool
) -> None:
    notebook, other = checkout / "own.ipynb", checkout / "other.ipynb"
    if is_tracked:
        notebook.write_text("{}")
        git(checkout, "add", "-A")
        git(checkout, "commit", "-q", "-m", "empty")
    notebook.write_text(json.dumps({"cells": [], "metadata": {"by": "CANARY"}}))
    other.write_text(json.dumps({"cells": [], "metadata": {}}))
    (tmp_path / "link").symlink_to(checkout)
    state, patch = look(checkout, notebook=tmp_path / "link" / "own.ipynb")
    assert state is not None
    assert state["note"] == "own.ipynb is kept beside, as it was saved: not in the patch"
    assert b"CANARY" not in patch
    assert b"other.ipynb" in patch


def test_a_submodule_counts_though_diff_ignores_it(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(checkout), "other")
    other = str(tmp_path / "other")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "add", "-q", other, "lib")
    git(checkout, "commit", "-q", "-m", "lib")
    git(checkout, "config", "diff.ignoreSubmodules", "all")
    git(checkout, "config", "submodule.lib.ignore", "all")
    git(checkout / "lib", "commit", "-q", "--allow-empty", "-m", "further")
    state, patch = look(checkout)
    assert state is not None
    assert state["dirty"] is True
    assert b"+Subproject commit " + git(checkout / "lib", "rev-parse", "HEAD").encode() in patch


LOOK = """
import ctypes, os, sys
from pathlib import Path
if os.geteuid() == 0:  # root may read everything, unless it gives that up for what it starts
    for capability in (1, 2):
        assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
    if "again" not in sys.argv:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "again"])
from jupyter_codesave.capture.git import look
state, patch = look(Path(sys.argv[1]))
print(state["dirty"], "train.py" in str(patch), "ok.py" in str(patch), state["note"], sep="|")
"""


def test_a_file_that_cannot_be_read_is_left_out_and_said(checkout: Path, tmp_path: Path) -> None:
    (checkout / "train.py").write_text("x = 2\n")
    (checkout / "ok.py").write_text("ok\n")
    (checkout / "closed.py").write_text("c\n")
    (checkout / "closed.py").chmod(0)
    (checkout / "data.bin").write_bytes(b"other")
    (checkout / "data.bin").chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(checkout)],
        env=isolated(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    dirty, tracked, untracked, note = done.stdout.strip().split("|")
    assert (dirty, tracked, untracked) == ("True", "True", "True")
    assert "closed.py cannot be read" in note
    assert "data.bin cannot be read" in note


def test_a_file_that_vanishes_while_git_looks_is_left_out(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *hash-object*--stdin-paths) rm -f b.py;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name in ("a.py", "b.py", 'c "quoted"\nline.py'):
        (checkout / name).write_text("new\n")
    state, patch = look(checkout)
    assert state is not None
    assert not (checkout / "b.py").exists()
    assert state["note"] == "b.py cannot be read: not in the patch"
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)


@pytest.mark.parametrize(
    "setting",
    [
        ("diff.submodule", "diff"),
        ("diff.submodule", "log"),
        ("diff.context", "0"),
        ("diff.orderFile", "/nowhere/at/all"),
        ("diff.relative", "true"),
        ("diff.noprefix", "true"),
        ("diff.suppressBlankEmpty", "true"),
        ("core.safecrlf", "true"),
        ("core.splitIndex", "true"),
        ("core.untrackedCache", "true"),
        ("core.autocrlf", "input"),
        ("core.autocrlf", "true"),
        ("core.attributesFile", "{text}"),
    ],
)
def test_settings_of_the_repository_do_not_matter(
    checkout: Path, tmp_path: Path, setting: tuple[str, str]
) -> None:
    git(tmp_path, "clone", "-q", str(checkout), "other")
    other = str(tmp_path / "other")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "add", "-q", other, "lib")
    (checkout / "long.py").write_text("".join(f"line {n}\n" for n in range(40)))
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "lib")
    git(checkout / "lib", "commit", "-q", "--allow-empty", "-m", "further")
    (tmp_path / "attributes").write_text("* text=auto\n")
    make_dirty(checkout)
    key, value = setting
    git(checkout, "config", key, value.replace("{text}", str(tmp_path / "attributes")))
    lines = [f"line {n}\n" for n in range(40)]
    lines[20] = "another\n"
    (checkout / "long.py").write_text("".join(lines))
    state, patch = look(checkout / "new")
    assert state is not None
    assert state["note"] is None
    assert b"Subproject commit" in patch
    shutil.rmtree(checkout / "lib")
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)


def test_files_that_git_was_told_not_to_look_at_count(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "update-index", "--assume-unchanged", "train.py")
    git(checkout, "update-index", "--skip-worktree", "data.bin", "gone.txt")
    (checkout / "train.py").write_text("x = 2\n")
    (checkout / "data.bin").write_bytes(b"changed\0")
    (checkout / "gone.txt").unlink()
    flags = git(checkout, "ls-files", "-v")
    state, patch = look(checkout)
    assert state is not None
    assert state["dirty"] is True
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)
    assert git(checkout, "ls-files", "-v") == flags


def test_what_a_sparse_checkout_leaves_out_is_no_change(checkout: Path) -> None:
    (checkout / "aside").mkdir()
    (checkout / "aside" / "big.py").write_text("b\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "aside")
    git(checkout, "sparse-checkout", "set", "--no-cone", "/*", "!/aside/")
    assert not (checkout / "aside").exists()
    state, patch = look(checkout)
    assert state is not None
    assert (state["dirty"], patch) == (False, b"")


def test_what_was_only_removed_from_the_index_comes_back(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "rm", "-q", "--cached", "train.py", "data.bin")
    (checkout / "data.bin").write_bytes(b"other\0")
    git(checkout, "rm", "-q", "-f", "run.sh")
    (checkout / "run.sh").mkdir()
    (checkout / "run.sh" / "inner.py").write_text("i\n")
    (checkout / "later.py").write_text("l\n")
    git(checkout, "add", "-N", "later.py")
    state, patch = look(checkout)
    assert state is not None
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)


def test_a_merge_that_is_not_settled_gives_the_tree_back(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "checkout", "-q", "-b", "other")
    (checkout / "train.py").write_text("theirs\n")
    git(checkout, "commit", "-q", "-a", "-m", "theirs")
    git(checkout, "checkout", "-q", "main")
    (checkout / "train.py").write_text("ours\n")
    git(checkout, "commit", "-q", "-a", "-m", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(checkout, "merge", "-q", "other")
    state, patch = look(checkout)
    assert state is not None
    assert b"<<<<<<<" in patch
    assert rebuilt(checkout, state["commit"], patch, tmp_path / "again") == tree(checkout)


def test_untracked_files_over_the_limit_leave_the_rest(checkout: Path) -> None:
    (checkout / "train.py").write_text("x = 2\n")
    for number in range(9):
        (checkout / f"n{number}.txt").write_text("many\n" * 400)
    for limit, said in ((5000, "untracked files are not in it"), (2010, "9 untracked files")):
        state, patch = look(checkout, limit=limit)
        assert state is not None
        assert b"x = 2" in patch
        assert b"many" not in patch
        assert said in state["note"]
