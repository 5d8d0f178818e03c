"""Commit plus patch gives the tree back, and secrets stay out."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

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
