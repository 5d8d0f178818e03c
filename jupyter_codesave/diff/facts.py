"""What two runs say of themselves, beside their files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .normalize import Json


def run_facts(base: Mapping[str, Any] | None, head: Mapping[str, Any] | None) -> Json:
    """What two runs say of themselves: git and argv of both, packages and config that differ.

    Nothing where a side is no run: a file on disk has none of it to compare, so none was lost.
    """
    old, new = (base, head) if base is not None and head is not None else ({}, {})
    # a kernel's arguments are its launcher's, with a connection file that is new each time
    sides = [run if run.get("kind") != "kernel" else {} for run in (old, new)]
    return {
        "git": {"base": old.get("git"), "head": new.get("git")},
        "packages": _differing("name", _packages(old), _packages(new)),
        "config": _differing("key", _mapping(old, "config"), _mapping(new, "config")),
        "argv": {"base": sides[0].get("argv"), "head": sides[1].get("argv")},
    }


def _mapping(run: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = run.get(key)
    return value if isinstance(value, Mapping) else {}


def _packages(run: Mapping[str, Any]) -> Mapping[str, Any]:
    packages = _mapping(run, "environment").get("packages")
    if isinstance(packages, Mapping):
        return packages
    found = {}
    for line in packages if isinstance(packages, list) else ():
        if isinstance(line, Mapping):
            found[str(line.get("name"))] = line.get("version")
        elif isinstance(line, str):
            name, separator, version = line.partition("==")
            found[name] = version if separator else ""
    return found


def _differing(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Json]:
    return [
        {name: key, "base": old.get(key), "head": new.get(key)}
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) or (key in old) != (key in new)
    ]
