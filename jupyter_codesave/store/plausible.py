"""What a record may say: records come from archives and folders that nobody vouches for.

What passes here can be written into a catalog and listed; it may still be untrue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..model.artifact import is_name
from ..model.digest import is_digest
from ..model.moment import parsed

_RUN_ID = re.compile(r"[0-9a-z]{1,32}")
_SESSION = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_MOST = 1 << 53  # of a number: what JSON, JavaScript and every database hold exactly
Check = Callable[[Any], bool]


def is_plausible(record: Any) -> bool:
    """Tell whether a record has the form of one; what newer versions add is passed over."""
    try:
        return _int32(record["revision"]) and _KINDS[record["kind"]](record)
    except (KeyError, TypeError, IndexError):
        return False


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def _int32(value: Any) -> bool:
    return _number(value) and value < 1 << 31


def _time(value: Any) -> bool:
    if not _text(value) or len(value) > 40:
        return False
    try:
        parsed(value)
    except ValueError:
        return False
    return True


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, (list, tuple)) and all(map(check, value))


def _tuple_of(*checks: Check) -> Check:
    def check(value: Any) -> bool:
        return len(value) >= len(checks) and all(c(v) for c, v in zip(checks, value, strict=False))

    return lambda value: isinstance(value, (list, tuple)) and check(value)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _fits(value: Any, checks: Mapping[str, Check]) -> bool:
    return isinstance(value, dict) and all(check(value[name]) for name, check in checks.items())


def _aliases(value: Any) -> bool:
    return _mapping(value) and all(is_name(name) and _time(at) for name, at in value.items())


def _edited(value: Any) -> bool:
    allowed = {"name": _text, "notes": _or_none(_text), "tags": _list_of(_text)}
    return _mapping(value) and all(name in allowed and allowed[name](value[name]) for name in value)


_RUN: Mapping[str, Check] = {
    "id": lambda value: _text(value) and _RUN_ID.fullmatch(value) is not None,
    "session": lambda value: _text(value) and _SESSION.fullmatch(value) is not None,
    "started": _time,
    "ended": _or_none(_time),
    "executions": _int32,
    "state": lambda value: value in ("running", "finished", "crashed"),
    **dict.fromkeys(("name", "project", "kind", "by"), _text),
    **dict.fromkeys(("ended_by", "notebook", "program", "kernel_id", "artifact"), _or_none(_text)),
    **dict.fromkeys(("notes", "error", "cwd", "host", "user"), _or_none(_text)),
    **dict.fromkeys(("tags", "argv"), _list_of(_text)),
    **dict.fromkeys(("config", "git", "environment"), _mapping),
}
_VERSION: Mapping[str, Check] = {
    "artifact": is_name,
    "type": _text,
    "project": _text,
    "number": _int32,
    "digest": is_digest,
    "size": _number,
    "created": _time,
    "aliases": _aliases,
}
_EXECUTION = _tuple_of(
    lambda value: _int32(value) and value > 0,
    *(_text, _text, _or_none(_time), _or_none(_time), _text, _or_none(_text)),
    _or_none(_int32),
    lambda value: isinstance(value, bool),
)
_JOURNAL: Mapping[str, Check] = {
    "session": _RUN["session"],
    **dict.fromkeys(("offset", "size"), _number),
    "sequence": lambda value: value == -1 or _number(value),
    "sealed": lambda value: isinstance(value, bool),
    "digest": _or_none(is_digest),
    "version": _int32,
}
_KINDS: Mapping[str, Check] = {
    "run": lambda record: (
        _fits(record["run"], _RUN)
        and _list_of(_EXECUTION)(record["executions"])
        and _list_of(lambda row: _fits(row, _VERSION))(record["versions"])
        and _or_none(is_digest)(record.get("files"))
        and _or_none(_list_of(_tuple_of(_text, _text)))(record.get("missing"))
        and all(_or_none(_time)(record.get(name)) for name in ("deleted", "thinned"))
        and _or_none(_edited)(record.get("edited"))
    ),
    "version": lambda record: _list_of(lambda row: _fits(row, _VERSION))(record["versions"]),
    "journal": lambda record: _fits(record["journal"], _JOURNAL),
    "ledger": lambda record: (
        _list_of(_tuple_of(_text, _text, is_name))(record["series"])
        and _list_of(_tuple_of(_text, _text))(record["purged"])
    ),
}
