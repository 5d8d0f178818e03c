"""Widgets: the comm messages of a session → the state in which JupyterLab saves them.

An output widget catches what its kernel prints and shows while it is entered: front ends keep
that in the widget's state, not with the cell.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
_CAUGHT = ("stream", "display_data", "execute_result", "error", "clear_output")
_OUTPUT = "OutputModel"


class Widgets:
    """The state of each widget, as far as the messages tell."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, Any]] = {}
        self._buffers: dict[str, dict[tuple[Any, ...], str]] = {}
        self._catching: dict[str, list[str]] = {}  # request → output widgets, the innermost last
        self._clears: set[str] = set()  # output widgets that are emptied by their next output

    def comm(self, kind: str, content: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """Take a comm message into account."""
        data, comm = content.get("data") or {}, str(content["comm_id"])
        if kind == "comm_open" and content.get("target_name") == "jupyter.widget":
            self._states[comm], self._buffers[comm] = {}, {}
        elif (
            kind != "comm_msg"
            or comm not in self._states
            or data.get("method") not in ("update", "echo_update")
        ):
            return
        news = dict(data.get("state") or {})
        state = self._states[comm]
        before = state.get("msg_id")
        if data.get("method") == "echo_update" and state.get("_model_name") == _OUTPUT:
            news.pop("outputs", None)  # what a front end caught; it may have left meanwhile
        state.update(news)
        for path, buffer in zip(data.get("buffer_paths") or [], buffers, strict=False):
            self._buffers[comm][tuple(path)] = base64.b64encode(buffer).decode("ascii")
        if "msg_id" in news and state.get("_model_name") == _OUTPUT:
            self._catch(comm, before, news["msg_id"])

    def _catch(self, comm: str, before: Any, key: Any) -> None:
        if before in self._catching and comm in self._catching[before]:
            self._catching[before].remove(comm)
            if not self._catching[before]:
                del self._catching[before]
        if key:
            self._catching.setdefault(str(key), []).append(comm)

    def take(self, key: str, kind: str, content: dict[str, Any]) -> bool:
        """Give an output of the request `key` to the widget that catches it; False: none does."""
        if not self._catching or kind not in _CAUGHT or key not in self._catching:
            return False
        comm = self._catching[key][-1]
        outputs = self._states[comm]["outputs"] = list(self._states[comm].get("outputs") or ())
        if kind == "clear_output" and content.get("wait"):
            self._clears.add(comm)
            return True
        if kind == "clear_output" or comm in self._clears:
            self._clears.discard(comm)
            outputs.clear()
        if kind != "clear_output":
            _add(outputs, kind, content)
        return True

    def state(self) -> dict[str, Any]:
        """Give what a notebook keeps of the widgets in `metadata.widgets`."""
        found = {}
        for comm, state in self._states.items():
            found[comm] = {
                "model_name": state.get("_model_name"),
                "model_module": state.get("_model_module"),
                "model_module_version": state.get("_model_module_version"),
                "state": dict(state),
            }
            if self._buffers[comm]:
                found[comm]["buffers"] = [
                    {"path": list(path), "data": data, "encoding": "base64"}
                    for path, data in self._buffers[comm].items()
                ]
        return {STATE: {"version_major": 2, "version_minor": 0, "state": found}}


def _add(outputs: list[dict[str, Any]], kind: str, content: dict[str, Any]) -> None:
    output = {"output_type": kind, **{k: v for k, v in content.items() if k != "transient"}}
    last = outputs[-1] if outputs else {}
    if kind == "stream" == last.get("output_type") and last.get("name") == output.get("name"):
        outputs[-1] = {**last, "text": last["text"] + output["text"]}
    else:
        outputs.append(output)
