"""What is installed is told completely, and cheaply."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path

import pytest

from jupyter_codesave.capture.environment import describe, installed
from jupyter_codesave.capture.masking import MASK, mask, without_password


def test_it_agrees_with_importlib_metadata() -> None:
    packages, _ = installed(sys.path)
    theirs: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        theirs.setdefault(each.metadata["Name"], each.version)
    assert packages == theirs


def test_the_description_is_json_and_names_the_interpreter() -> None:
    found = json.loads(json.dumps(describe()))
    assert re.fullmatch(r"3\.\d+\.\d+.*", found["python"])
    assert found["platform"]
    assert found["executable"] == sys.executable


def _install(folder: Path, name: str, version: str, origin: object = None) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))


def test_what_came_from_elsewhere_is_told_with_its_place_and_commit(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git" / "refs" / "heads").mkdir(parents=True)
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (checkout / ".git" / "refs" / "heads" / "main").write_text("abc123\n")
    vcs = {"url": "https://u:p@x.org/y.git", "vcs_info": {"vcs": "git", "commit_id": "def456"}}
    _install(tmp_path / "site", "from-git", "1.0", vcs)
    editable = {"url": f"file://{checkout}", "dir_info": {"editable": True}}
    _install(tmp_path / "site", "mine", "0.1", editable)
    _install(tmp_path / "site", "plain-package", "2.0")
    packages, others = installed([str(tmp_path / "site"), "/nowhere"])
    assert packages == {"from-git": "1.0", "mine": "0.1", "plain-package": "2.0"}
    assert others == {
        "from-git": "from-git @ git+https://x.org/y.git@def456",
        "mine": f"-e {checkout}  # at commit abc123",
    }


def test_the_first_on_the_path_counts(tmp_path: Path) -> None:
    _install(tmp_path / "a", "x", "1")
    _install(tmp_path / "b", "x", "2")
    assert installed([str(tmp_path / "a"), str(tmp_path / "b")])[0] == {"x": "1"}


def test_a_damaged_installation_is_named_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "broken-3.1.dist-info").mkdir()
    assert installed([str(tmp_path)])[0] == {"broken": "3.1"}


@pytest.mark.parametrize(
    ("argv", "masked"),
    [
        (["train.py", "--lr", "0.1"], ["train.py", "--lr", "0.1"]),
        (["t", "--password", "x"], ["t", "--password", MASK]),
        (["t", "--api-key=x", "y"], ["t", f"--api-key={MASK}", "y"]),
        (["t", "HF_TOKEN=x"], ["t", f"HF_TOKEN={MASK}"]),
        (["t", "--token", "--next", "y"], ["t", "--token", "--next", "y"]),
        (["t", "postgres://u:p@h/db"], ["t", "postgres://h/db"]),
        (["t", "--url=https://u:p@h/x"], ["t", "--url=https://h/x"]),
        (["t", "--tokens", "5"], ["t", "--tokens", "5"]),
        (["t", "--tokens", "a,b"], ["t", "--tokens", MASK]),
        (["t", "wandb.api_key=x"], ["t", f"wandb.api_key={MASK}"]),
    ],
)
def test_values_that_look_like_secrets_are_masked(argv: list[str], masked: list[str]) -> None:
    assert mask(argv) == masked


@pytest.mark.parametrize(
    "name",
    [
        *("--pwd", "--pass", "--auth", "--key", "--access-key", "--private_key", "--passphrase"),
        *(
            "--bearer",
            "--db-pass",
            "-password",
            "--apiKey",
            "--authToken",
            "--HF_TOKEN",
            "--token2",
        ),
        *("--hftoken", "--openai-key", "--aws_secret_access_key", "--userPassword", "--basic-auth"),
    ],
)
def test_a_name_that_says_secret_hides_what_is_given_to_it(name: str) -> None:
    assert mask(["t", "-v", name, "hunter2", "y"]) == ["t", "-v", name, MASK, "y"]
    assert mask(["t", f"{name}=hunter2=", "y"]) == ["t", f"{name}={MASK}", "y"]
    bare = name.lstrip("-")
    assert mask([f"a=1,{bare}=hunter2 b=2"]) == [f"a=1,{bare}={MASK} b=2"]


@pytest.mark.parametrize(
    "argument",
    [
        *("--tokenizer gpt2", "--max_tokens 512", "--max-tokens=512", "--num_tokens 1e6"),
        *("--eos_token </s>", "--token-limit 5", "--keyboard x", "--sort-key loss", "--author me"),
        *("--image_key jpg", "--password-file p.txt", "--no-auth data.csv", "--bypass x"),
        *("--monkey x", "--key-size 256", "--passes 3", "--n-pass 3", "--compass north"),
        *("--encoder sk-learn", "--model hf_transformers", "--run task-forceAndMoreLetters"),
        *("tests/auth.py::test_token", "C:\\data\\x.csv", "https://x.org/a?page=2", "lr=0.1,wd=0"),
    ],
)
def test_what_is_no_secret_is_kept(argument: str) -> None:
    assert mask(argument.split(" ")) == argument.split(" ")


@pytest.mark.parametrize(
    "value",
    [
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "11ABCDEFG0_" * 4,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "hf_" + "abCdefgHij" * 3,
        "sk-" + "abcdefghijklmnop1234",
        "sk-proj-" + "Ab-12_cd",
        "glpat-" + "x1y2z3_abcdef",
        "xoxb-" + "123456789-abcdef",
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0" + ".c2lnbmF0dXJl",
    ],
)
def test_a_value_in_the_shape_of_a_token_is_hidden_wherever_it_stands(value: str) -> None:
    assert mask([value, "--x", value, f"--x={value}"]) == [MASK, "--x", MASK, f"--x={MASK}"]
    assert mask([f'{{"x": "{value}"}}']) == [f'{{"x": "{MASK}"}}']


@pytest.mark.parametrize(
    ("argument", "masked"),
    [
        ('{"password": "hunter2", "lr": 1}', '{"password": "****", "lr": 1}'),
        ("https://x.org/a?access_token=hunter2&b=1", "https://x.org/a?access_token=****&b=1"),
        ("Authorization: token hunter2", "Authorization: ****"),
        ("X-Header: Bearer hunter2", "X-Header: Bearer ****"),
        ("host=h password=hunter2 port=1", "host=h password=**** port=1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n", MASK),
    ],
)
def test_secrets_within_an_argument_are_hidden(argument: str, masked: str) -> None:
    assert mask([argument]) == [masked]


def test_a_url_without_a_password_comes_back_as_it_is() -> None:
    for url in ("https://x.org/a@b", "git@github.com:x/y.git", "plain text", "file:///a/b"):
        assert without_password(url) == url


def test_a_long_word_costs_no_more_than_its_length() -> None:
    long = "x" * 200_000  # at the cube of it, this would not end
    assert mask([long, f"{long}.key={long}"]) == [long, f"{long}.key={MASK}"]
