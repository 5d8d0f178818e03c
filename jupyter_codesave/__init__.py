"""Code saving for Jupyter, on your own machine and by itself.

    import jupyter_codesave as codesave

    run = codesave.init(project="mnist", config={"lr": 0.001})
    run.save("results/*.csv")
    run.log_code("src")
    run.finish()

Notebooks and terminal IPython need none of that: what runs is recorded by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import diff
    from .api import Api
    from .capture.config import Settings
    from .capture.current import finish, init, log, log_code, login, save, watch
    from .capture.run import Run

_NAMES = {
    "init": ("capture.current", "init"),
    "finish": ("capture.current", "finish"),
    "log": ("capture.current", "log"),
    "login": ("capture.current", "login"),
    "watch": ("capture.current", "watch"),
    "save": ("capture.current", "save"),
    "log_code": ("capture.current", "log_code"),
    "Run": ("capture.run", "Run"),
    "Settings": ("capture.config", "Settings"),
    "Api": ("api", "Api"),
}

__all__ = [
    "Api",
    "Run",
    "Settings",
    "__version__",
    "config",
    "diff",
    "finish",
    "init",
    "log",
    "log_code",
    "login",
    "run",
    "save",
    "watch",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _NAMES:
        module, attribute = _NAMES[name]
        return getattr(import_module(f".{module}", __name__), attribute)
    if name == "run":
        return import_module(".capture.current", __name__).current_run()
    if name == "config":
        return import_module(".capture.current", __name__).current_config()
    if name == "diff":
        return import_module(".diff", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Record this IPython: `%load_ext jupyter_codesave`, where it does not load by itself."""
    from .capture.extension import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Record it no longer."""
    from .capture.extension import unload

    unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "jupyter_codesave.server.extension"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-codesave"}]
