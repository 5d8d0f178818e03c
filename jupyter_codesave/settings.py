"""Settings: `CodeSave` says what is captured, `StoreSettings` where it is kept.

The order, highest first: explicit argument, environment, project file (`[tool.codesave]` in
pyproject.toml), user settings (the settings editor, through control.json), config files, default.
Off is the exception: `capture` off, or `automatic` false, at any level wins over everything.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets import Bool, CaselessStrEnum, Integer, TraitError, Unicode
from traitlets.config import Configurable

from .control import NO_FILE, read_control, why_unread
from .errors import SettingsError

CAPTURE = ("all", "sources", "off")
CONFIG_FILE = "jupyter_codesave_config.json"
GIGABYTE = 1 << 30


class CodeSave(Configurable):
    """What is captured; kernels and scripts read it too."""

    automatic = Bool(
        True,
        help="Record notebooks and terminal sessions by themselves; without it explicit init(), "
        "save() and log_code() still work.",
    ).tag(config=True)
    capture = CaselessStrEnum(
        CAPTURE, "all", help="Record sources and outputs, sources only, or nothing."
    ).tag(config=True)
    input_answers = Bool(
        False, help="Keep the answers typed at input() prompts (getpass never)."
    ).tag(config=True)
    durability = CaselessStrEnum(
        ("second", "cell"),
        "second",
        help="A power cut costs at most the last second; or sync before each cell ends.",
    ).tag(config=True)
    project = Unicode("", help="The project of runs that name none.").tag(config=True)
    save_code = Bool(True, help="Keep the program and the imported modules of explicit runs.").tag(
        config=True
    )
    code_dir = Unicode("", help="A folder whose source is logged with every run.").tag(config=True)
    max_save_size = Integer(
        2 * GIGABYTE, help="save() asks before it stores more bytes than this at once."
    ).tag(config=True)
    max_patch_size = Integer(10 << 20, help="diff.patch is cut, and says so, above this.").tag(
        config=True
    )


class StoreSettings(Configurable):
    """Where it is kept; read by the server, the command line and Api(), never by a kernel."""

    database_url = Unicode(
        "", help="The catalog's SQLAlchemy URL; empty: catalog.sqlite in the data folder."
    ).tag(config=True)
    artifact_url = Unicode(
        "", help="Where blobs are kept: s3://, gs:// or az://; empty: the data folder."
    ).tag(config=True)
    budget = Integer(
        0, help="Bytes the store may use; 0: 10 GB or a tenth of the disk, whichever is less."
    ).tag(config=True)
    retention_days = Integer(0, help="Outputs older than this go; 0: never by age.").tag(
        config=True
    )
    version_interval = Integer(
        600, help="Seconds with new executions after which a running run gets a version."
    ).tag(config=True)


@dataclass(frozen=True)
class Setting:
    """A setting's value, where it came from, and whether an administrator fixed it.

    `unread`: nobody said so; the source is a file that cannot be read and may say so.
    """

    value: Any
    source: str
    locked: bool = False
    unread: bool = False


@dataclass(frozen=True)
class Level:
    """One place that says something about settings; `source` is what people are told."""

    source: str
    values: Mapping[str, Any]
    admin: bool = False
    locked: frozenset[str] = frozenset()
    unread: bool = False


@dataclass(frozen=True)
class Places:
    """Where settings are looked for, as of some moment: the user's code may change what says so.

    (HOME, CODESAVE_DIR, Jupyter's variables, and the working folder of what is relative.)
    """

    folder: Path  # the data folder
    configs: tuple[Path, ...]
    home: str


def places(environ: Mapping[str, str] = os.environ) -> Places:
    """Find where settings are looked for; who asks for them again and again does it once."""
    from jupyter_core.paths import jupyter_config_path

    configs = [Path(folder).absolute() / CONFIG_FILE for folder in jupyter_config_path()]
    return Places(data_dir(environ), tuple(configs), os.path.expanduser("~"))


def data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Give the data folder: CODESAVE_DIR, or `codesave` in Jupyter's data folder."""
    if given := environ.get("CODESAVE_DIR"):
        return Path(given).expanduser().absolute()
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()).absolute() / "codesave"


def resolve(
    *,
    explicit: Mapping[str, Any] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    notebook: str | None = None,
    program: str | None = None,
    environ: Mapping[str, str] = os.environ,
    base: Configurable | None = None,
    within: Places | None = None,
) -> dict[str, Setting]:
    """Decide every setting of CodeSave and StoreSettings for a folder (and a notebook or program).

    The project file above the notebook or program counts, and the one above the folder.

    `base` is a configured CodeSave or StoreSettings of a server; its values count as config.
    `within` names the places when they were found before. A file that is there and cannot be read
    says off. Raises SettingsError naming key, value and file for an unknown key or a bad value.
    """
    within = within or places(environ)
    levels = list(_levels(explicit, cwd, notebook, program, environ, base, within))
    settings: dict[str, Setting] = {}
    for name, trait in _traits().items():
        saying = [(level, level.values[name]) for level in levels if name in level.values]
        locks = [level for level, _ in saying if name in level.locked]
        for level, value in saying:
            _check(name, value, level.source)
        if locks:
            saying = [(level, value) for level, value in saying if level is locks[0]] + [
                (level, value) for level, value in saying if _is_off(name, value)
            ]
        off = [(level, value) for level, value in saying if _is_off(name, value)]
        level, value = (off or saying or [(Level("default", {}), trait.default_value)])[0]
        settings[name] = Setting(value, level.source, locked=bool(locks), unread=level.unread)
    return settings


def decision(settings: Mapping[str, Setting]) -> tuple[str, str]:
    """Give what is recorded by itself, `all`, `sources` or `off`, and who decided it."""
    capture, automatic = settings["capture"], settings["automatic"]
    if capture.value != "off" and not automatic.value:
        return "off", automatic.source
    return str(capture.value), capture.source


def _is_off(name: str, value: Any) -> bool:
    return (name == "capture" and value == "off") or (name == "automatic" and value is False)


def _traits() -> dict[str, Any]:
    return {
        name: trait
        for owner in (CodeSave, StoreSettings)
        for name, trait in owner.class_own_traits(config=True).items()
    }


def _check(name: str, value: Any, source: str) -> None:
    owner = CodeSave if CodeSave.class_own_traits().get(name) else StoreSettings
    try:
        owner(**{name: value})
    except TraitError as error:
        raise SettingsError(
            f"the setting {name} in {source} cannot be {value!r}: {error}; mend it there"
        ) from None


def _levels(
    explicit: Mapping[str, Any] | None,
    cwd: str | os.PathLike[str] | None,
    notebook: str | None,
    program: str | None,
    environ: Mapping[str, str],
    base: Configurable | None,
    within: Places,
) -> Iterator[Level]:
    if explicit:
        yield _known("the call", dict(explicit))
    yield from _environment(environ)
    beside = os.path.dirname(notebook or program or "")
    projects: dict[str, Level] = {}  # by file: mostly both are one
    for folder in (beside, cwd or os.getcwd()):
        if os.path.isabs(folder):
            projects |= {level.source: level for level in _project(Path(folder))}
    yield from projects.values()
    control = read_control(within.folder)
    if "unread" in control:
        yield _unread(control["unread"])
    if notebook and (said := (control.get("notebooks") or {}).get(notebook)):
        yield _known(f"the metadata of {notebook}", said)
    if user := control.get("user"):
        yield _known("user settings", user)
    yield from _config_files(within)
    if base is not None:
        own = {
            name: getattr(base, name)
            for name in base.class_own_traits(config=True)
            if getattr(base, name) != base.traits()[name].default_value
        }
        yield Level("the server's config", own)


def _environment(environ: Mapping[str, str]) -> Iterator[Level]:
    values: dict[str, Any] = {}
    if "CODESAVE" in environ:
        said = environ["CODESAVE"].strip().lower()
        words = {"0": "off", "false": "off", "no": "off", "disabled": "off"}
        words |= {"1": "all", "true": "all", "yes": "all", "on": "all", "": "all"}
        yield Level("the environment (CODESAVE)", {"capture": words.get(said, said)})
    for name, trait in _traits().items():
        raw = environ.get(f"CODESAVE_{name.upper()}")
        if raw is None:
            continue
        try:
            values[name] = trait.from_string(raw)
        except (TraitError, ValueError):
            values[name] = raw
    if values:
        yield Level("the environment", values)


def _project(folder: Path) -> Iterator[Level]:
    for candidate in [folder, *folder.parents][:40]:
        file = candidate / "pyproject.toml"
        try:
            text = file.read_bytes()
        except (*NO_FILE, ValueError):
            text = b""
        except OSError as error:
            yield _unread(why_unread(file, error))
            return
        if b"tool.codesave" in text:
            if sys.version_info >= (3, 11):
                import tomllib
            else:
                import tomli as tomllib
            try:
                level = _known(str(file), tomllib.loads(text.decode())["tool"]["codesave"])
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                raise SettingsError(f"{file} cannot be read: {error}; mend it there") from None
            for name in StoreSettings.class_own_traits(config=True):
                if name in level.values:  # a cloned project must not send a history elsewhere
                    raise SettingsError(
                        f"{name} is not for a project to say (it is {level.values[name]!r} in "
                        f"{file}): where and how long your history is kept is decided in "
                        f"{CONFIG_FILE} or the environment; take it out of the project's file"
                    )
            yield level
            return
        if (candidate / ".git").exists():
            return


def _config_files(within: Places) -> Iterator[Level]:
    for file in within.configs:
        try:
            text = file.read_bytes()
        except NO_FILE:
            continue
        except OSError as error:
            yield _unread(why_unread(file, error))
            continue
        try:
            sections = json.loads(text)
            values = {**sections.get("StoreSettings", {}), **sections.get("CodeSave", {})}
            locked = frozenset(values.pop("locked", ()))
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise SettingsError(f"{file} cannot be read: {error}; mend it there") from None
        admin = not str(file).startswith(within.home + os.sep) or str(file).startswith(sys.prefix)
        level = _known(str(file), values)
        yield Level(level.source, level.values, admin, locked if admin else frozenset())


def _unread(why: str) -> Level:
    return Level(why, {"capture": "off"}, unread=True)


def _known(source: str, values: Mapping[str, Any]) -> Level:
    known = _traits()
    for name, value in values.items():
        if name not in known:
            raise SettingsError(
                f"there is no setting {name!r} (= {value!r}, in {source}); "
                f"the settings are {', '.join(sorted(known))}"
            )
    return Level(source, values)
