"""Settings and config of a run, as users give them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from .warning import warn_unknown

_SETTINGS = ("code_dir", "save_code", "capture", "project", "durability", "input_answers")


class Settings:
    """What one run does otherwise: `code_dir`, `save_code`, `capture` (all, sources, off), …"""

    def __init__(self, **settings: Any) -> None:
        self.values = {
            name: str(value) if name == "code_dir" else value
            for name, value in settings.items()
            if name in _SETTINGS and value is not None
        }
        warn_unknown("Settings", [name for name in settings if name not in _SETTINGS])

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"Settings({inside})"


class Config(dict[str, Any]):
    """A run's config: a dict, by attribute too; each change goes to the journal."""

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], None]) -> None:
        super().__init__(values)
        object.__setattr__(self, "_changed", changed)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._changed()

    def __ior__(self, other: Any) -> Config:  # type: ignore[override,misc]  # dict's gives a dict
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Give the value of `key`, which is `default` from now on if there was none."""
        found = super().setdefault(key, default)
        self._changed()
        return found

    def pop(self, *given: Any) -> Any:
        """Take a key out and give its value."""
        found = super().pop(*given)
        self._changed()
        return found

    def popitem(self) -> tuple[str, Any]:
        """Take the newest key out and give it with its value."""
        found = super().popitem()
        self._changed()
        return found

    def clear(self) -> None:
        """Take every key out."""
        super().clear()
        self._changed()

    def update(self, *values: Any, **more: Any) -> None:
        """Take over a mapping, a Namespace or keywords; `allow_val_change` is W&B's, ignored."""
        more.pop("allow_val_change", None)
        for given in values:
            super().update(mapping(given))
        super().update(more)
        self._changed()

    def as_dict(self) -> dict[str, Any]:
        """Give a dict of its own."""
        return dict(self)

    def setdefaults(self, values: Any) -> None:
        """Take over what has no value yet."""
        self.update({key: value for key, value in mapping(values).items() if key not in self})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the config has no {name!r}; it has {sorted(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def mapping(config: Any) -> dict[str, Any]:
    """Take a mapping, a Namespace or any object with attributes for a config."""
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return {str(key): value for key, value in config.items()}
    if not hasattr(config, "__dict__"):
        raise TypeError(
            f"config must be a mapping or have attributes, as argparse's Namespace has, not "
            f"{type(config).__name__}; a file's content is config=json.load(open(path))"
        )
    return {str(key): value for key, value in vars(config).items() if not key.startswith("_")}


def plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Give a value as JSON holds it, whatever it is: text for what has no other form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(float(value))
    if id(value) in above or len(above) > 50:
        return "…"
    within = (*above, id(value))
    if isinstance(value, Mapping):
        return {_text(key): plain(each, within) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, within) for each in value]
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a number of numpy's
        with suppress(Exception):
            number = value.item()
            if isinstance(number, bool | int | float | str):
                return plain(number)
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str | int | float | os.PathLike):
        return str(value)
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
