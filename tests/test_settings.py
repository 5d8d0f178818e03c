"""Settings: the order of the levels, off wins, an administrator's lock holds, errors name all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.control import changed_control
from jupyter_codesave.errors import SettingsError
from jupyter_codesave.settings import resolve


def say(folder: Path, **values: Any) -> None:
    """Say something in control.json."""
    with changed_control(folder) as control:
        control.update(values)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A project folder, an environment, and config folders of a user and an administrator."""
    user, admin = tmp_path / "home" / ".jupyter", tmp_path / "etc" / "jupyter"
    for folder in (user, admin, tmp_path / "project", tmp_path / "data"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(user))
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_CONFIG_PATH", [str(admin)])
    return {
        "cwd": tmp_path / "project",
        "environ": {"CODESAVE_DIR": str(tmp_path / "data")},
        "user": user / "jupyter_codesave_config.json",
        "admin": admin / "jupyter_codesave_config.json",
        "data": tmp_path / "data",
    }


def found(places: dict[str, Any], name: str, **more: Any) -> tuple[Any, str]:
    environ = {**places["environ"], **more.pop("environ", {})}
    setting = resolve(cwd=places["cwd"], environ=environ, **more)[name]
    return setting.value, setting.source


def test_the_highest_level_that_speaks_decides(places: dict[str, Any]) -> None:
    assert found(places, "project") == ("", "default")
    places["admin"].write_text('{"CodeSave": {"project": "admin"}}')
    assert found(places, "project") == ("admin", str(places["admin"]))
    say(places["data"], user={"project": "user"})
    assert found(places, "project") == ("user", "user settings")
    pyproject = places["cwd"] / "pyproject.toml"
    pyproject.write_text('[tool.codesave]\nproject = "file"\n')
    assert found(places, "project") == ("file", str(pyproject))
    environ = {"CODESAVE_PROJECT": "variable"}
    assert found(places, "project", environ=environ) == ("variable", "the environment")
    explicit = {"project": "argument"}
    assert found(places, "project", environ=environ, explicit=explicit)[0] == "argument"


@pytest.mark.parametrize("level", ["admin", "user", "project", "environment", "notebook", "call"])
def test_off_at_any_level_wins_over_everything(places: dict[str, Any], level: str) -> None:
    notebook = str(places["cwd"] / "a.ipynb")
    say(places["data"], user={"capture": "all"})
    (places["cwd"] / "pyproject.toml").write_text('[tool.codesave]\ncapture = "all"\n')
    more: dict[str, Any] = {"explicit": {"capture": "all"}, "environ": {"CODESAVE": "on"}}
    if level == "admin":
        places["admin"].write_text('{"CodeSave": {"capture": "off"}}')
    elif level == "user":
        say(places["data"], user={"capture": "off"})
    elif level == "project":
        (places["cwd"] / "pyproject.toml").write_text('[tool.codesave]\ncapture = "off"\n')
    elif level == "environment":
        more["environ"] = {"CODESAVE": "off"}
    elif level == "notebook":
        say(places["data"], notebooks={notebook: {"capture": "off"}})
    else:
        more["explicit"] = {"capture": "off"}
    assert found(places, "capture", notebook=notebook, **more)[0] == "off"


@pytest.mark.parametrize("kind", ["notebook", "program"])
def test_the_project_of_a_notebook_or_program_counts_wherever_it_is_started(
    places: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (places["cwd"] / "pyproject.toml").write_text('[tool.codesave]\nproject = "its own"\n')
    (other / "pyproject.toml").write_text('[tool.codesave]\nproject = "the folder\'s"\n')
    its = {kind: str(places["cwd"] / "a.file")}
    found_there = resolve(cwd=other, environ=places["environ"], **its)
    assert found_there["project"].value == "its own"
    (other / "pyproject.toml").write_text('[tool.codesave]\ncapture = "off"\n')
    assert resolve(cwd=other, environ=places["environ"], **its)["capture"].value == "off"


def test_what_an_administrator_locked_cannot_be_changed(places: dict[str, Any]) -> None:
    places["admin"].write_text('{"CodeSave": {"durability": "cell", "locked": ["durability"]}}')
    say(places["data"], user={"durability": "second"})
    settings = resolve(cwd=places["cwd"], environ=places["environ"])
    assert settings["durability"].value == "cell"
    assert settings["durability"].locked


def test_a_user_locks_nothing(places: dict[str, Any]) -> None:
    places["user"].write_text('{"CodeSave": {"durability": "cell", "locked": ["durability"]}}')
    say(places["data"], user={"durability": "second"})
    assert found(places, "durability") == ("second", "user settings")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"CodeSave": {"captur": "off"}}', ["captur", "off", "settings are"]),
        ('{"CodeSave": {"capture": "some"}}', ["capture", "some"]),
        ('{"CodeSave": {"automatic": 3}}', ["automatic", "3"]),
        ("{not json", ["cannot be read"]),
        ('{"CodeSave": []}', ["cannot be read"]),
    ],
)
def test_an_unknown_key_or_a_bad_value_is_named_with_its_file(
    places: dict[str, Any], text: str, told: list[str]
) -> None:
    places["user"].write_text(text)
    with pytest.raises(SettingsError) as caught:
        resolve(cwd=places["cwd"], environ=places["environ"])
    for word in [*told, str(places["user"])]:
        assert word in str(caught.value)


def test_a_broken_project_file_is_named(places: dict[str, Any]) -> None:
    (places["cwd"] / "pyproject.toml").write_text("[tool.codesave\n")
    with pytest.raises(SettingsError, match=r"pyproject\.toml"):
        resolve(cwd=places["cwd"], environ=places["environ"])


@pytest.mark.parametrize(
    "line",
    ['database_url = "postgresql://elsewhere"', 'artifact_url = "s3://theirs"', "budget = 1"],
)
def test_a_project_does_not_decide_where_a_history_is_kept(
    places: dict[str, Any], line: str
) -> None:
    pyproject = places["cwd"] / "pyproject.toml"
    pyproject.write_text(f"[tool.codesave]\n{line}\n")
    with pytest.raises(SettingsError, match=r"not for a project to say.*pyproject\.toml"):
        resolve(cwd=places["cwd"], environ=places["environ"])


@pytest.mark.parametrize("which", ["control", "pyproject", "user", "admin"])
def test_a_file_that_cannot_be_read_may_say_off_and_does(
    places: dict[str, Any], which: str
) -> None:
    control, pyproject = places["data"] / "control.json", places["cwd"] / "pyproject.toml"
    file = {**places, "control": control, "pyproject": pyproject}[which]
    file.symlink_to(file)  # as root may read anything else
    setting = resolve(cwd=places["cwd"], environ=places["environ"])["capture"]
    assert (setting.value, setting.unread) == ("off", True)
    assert f"{file}, which may say off until it can be read" in setting.source
    file.unlink()
    assert found(places, "capture") == ("all", "default")


def test_a_project_file_that_is_no_text_is_named(places: dict[str, Any]) -> None:
    text = '[tool.codesave]\ncapture = "off"  # né'
    (places["cwd"] / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"pyproject\.toml cannot be read"):
        resolve(cwd=places["cwd"], environ=places["environ"])
