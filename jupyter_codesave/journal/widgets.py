"""Widgets: the comm messages of a session → the state in which JupyterLab saves them.

An output widget catches what its kernel prints and shows while it is entered: front ends keep
that in the widget's state, not with the cell.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
_CAUGHT = ("stream", "display_data", "execute_result", "error", "clear_output")
_OUTPUT = "OutputModel"


class Widgets:
    """The state of each widget, as far as the messages tell, and which execution said what."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, tuple[str, Any]]] = {}  # name → execution, value
        self._buffers: dict[str, dict[tuple[Any, ...], tuple[str, str]]] = {}
        self._outputs: dict[str, list[tuple[str, dict[str, Any]]]] = {}  # of output widgets
        self._opened: dict[str, str] = {}  # widget → execution
        self._catching: dict[str, list[str]] = {}  # request → output widgets, the innermost last
        self._clears: set[str] = set()  # output widgets that are emptied by their next output

    def comm(
        self, kind: str, content: dict[str, Any], buffers: Sequence[memoryview], key: str
    ) -> None:
        """Take a comm message of the execution `key` into account."""
        data, comm = content.get("data") or {}, str(content["comm_id"])
        if kind == "comm_open" and content.get("target_name") == "jupyter.widget":
            self._states[comm], self._buffers[comm], self._opened[comm] = {}, {}, key
        elif (
            kind != "comm_msg"
            or comm not in self._states
            or data.get("method") not in ("update", "echo_update")
        ):
            return
        news, state = dict(data.get("state") or {}), self._states[comm]
        before = self._value(comm, "msg_id")
        state.update({name: (key, value) for name, value in news.items()})
        for path, buffer in zip(data.get("buffer_paths") or [], buffers, strict=False):
            encoded = base64.b64encode(buffer).decode("ascii")
            self._buffers[comm][tuple(path)] = key, encoded
        if self._value(comm, "_model_name") != _OUTPUT:
            return
        outputs = state.pop("outputs", (key, []))[1]
        # An echo says what a front end caught; it may have left meanwhile.
        if "outputs" in news and data.get("method") != "echo_update":
            self._outputs[comm] = [(key, output) for output in outputs]
        if "msg_id" in news:
            self._catch(comm, before, news["msg_id"])

    def _value(self, comm: str, name: str) -> Any:
        return self._states[comm].get(name, ("", None))[1]

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
        outputs = self._outputs.setdefault(comm, [])
        if kind == "clear_output" and content.get("wait"):
            self._clears.add(comm)
            return True
        if kind == "clear_output" or comm in self._clears:
            self._clears.discard(comm)
            outputs.clear()
        if kind != "clear_output":
            _add(outputs, key, kind, content)
        return True

    def forget(self, key: str) -> None:
        """An execution must not be kept: what it made, set and printed goes."""
        for comm in [comm for comm, opened in self._opened.items() if opened == key]:
            del self._opened[comm], self._states[comm], self._buffers[comm]
            self._outputs.pop(comm, None)
        for comm in self._states:
            self._states[comm] = {
                n: said for n, said in self._states[comm].items() if said[0] != key
            }
            buffers = self._buffers[comm]
            self._buffers[comm] = {path: said for path, said in buffers.items() if said[0] != key}
        for outputs in self._outputs.values():
            outputs[:] = [each for each in outputs if each[0] != key]
        for comms in self._catching.values():
            comms[:] = [comm for comm in comms if comm in self._states]
        self._catching = {key: comms for key, comms in self._catching.items() if comms}

    def state(self) -> dict[str, Any]:
        """Give what a notebook keeps of the widgets in `metadata.widgets`."""
        found = {}
        for comm, said in self._states.items():
            state = {name: value for name, (_, value) in said.items()}
            if state.get("_model_name") == _OUTPUT:
                state["outputs"] = _merged(self._outputs.get(comm, ()))
            found[comm] = {
                "model_name": state.get("_model_name"),
                "model_module": state.get("_model_module"),
                "model_module_version": state.get("_model_module_version"),
                "state": state,
            }
            if self._buffers[comm]:
                found[comm]["buffers"] = [
                    {"path": list(path), "data": data, "encoding": "base64"}
                    for path, (_, data) in self._buffers[comm].items()
                ]
        return {STATE: {"version_major": 2, "version_minor": 0, "state": found}}


def _add(
    outputs: list[tuple[str, dict[str, Any]]], key: str, kind: str, content: dict[str, Any]
) -> None:
    output = {"output_type": kind, **{k: v for k, v in content.items() if k != "transient"}}
    if outputs and outputs[-1][0] == key and _go_on(outputs[-1][1], output):
        outputs[-1] = key, _joined(outputs[-1][1], output)
    else:
        outputs.append((key, output))


def _merged(outputs: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Give the outputs alone, texts of one stream that follow each other as one."""
    found: list[dict[str, Any]] = []
    for _, output in outputs:
        if found and _go_on(found[-1], output):
            found[-1] = _joined(found[-1], output)
        else:
            found.append(output)
    return found


def _go_on(last: dict[str, Any], output: dict[str, Any]) -> bool:
    return output.get("output_type") == "stream" and all(
        last.get(name) == output.get(name) for name in ("output_type", "name")
    )


def _joined(last: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    return {**last, "text": last["text"] + output["text"]}
