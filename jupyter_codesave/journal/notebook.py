"""Records → executions → session notebook: the fold.

The rules (measured against nbclient's own record): group by the parent's msg_id; drop outputs
whose parent has no `execute_input`; keep the order of the journal; `status: idle` of an
execute_request ends the cell; `update_display_data` may change outputs of other cells;
`clear_output(wait=True)` takes effect at the next output; consecutive stream outputs of one name
merge. The same records give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timezone
from typing import Any, get_args

from ..model.digest import digest_of
from ..model.execution import Execution, Status
from ..model.moment import parsed, spelled, spelled_ns
from . import events
from .reader import Lost, Record, decode_event
from .tail import TailEntry, unrecorded
from .widgets import VIEW, Widgets

_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,56}")
_DELIMITER = b"<IDS|MSG>"
# Of JSON: strings, brackets and numbers.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|-?\d[\d.eE+-]*', re.DOTALL)
# What odd records do.
ODD = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)
_PYTHON = {
    "name": "python",
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "codemirror_mode": {"name": "ipython", "version": 3},
    "pygments_lexer": "ipython3",
}

Output = dict[str, Any]


@dataclass
class FoldedExecution:
    """One execution as far as the records tell; outputs may be put away under a digest.

    `part_of` is the key of the whole, for the part of it that stays with a run that ended.
    """

    key: str
    part_of: str | None = None
    run: str | None = None
    number: int = 0  # within its run, from 1
    source: str | None = None
    cell_id: str | None = None
    count: int | None = None
    started: str | None = None
    ended: str | None = None
    status: Status = "running"
    store_history: bool = True
    outputs: list[Output] = field(default_factory=list)
    stored: str | None = None  # what `load` gives the outputs back for, while they are put away
    clear_waits: bool = False
    recorded: bool = False  # an execute_input or a terminal's execution event was seen


@dataclass
class FoldedRun:
    """One run as far as the records tell."""

    id: str
    fields: dict[str, Any]
    started: str
    keys: list[str] = field(default_factory=list)  # executions, in order
    count: int = 0  # numbers given out; a forgotten execution leaves a hole
    recorded: int = 0  # executions that are listed
    end: dict[str, Any] | None = None
    end_at: int = 0  # offset behind the record of its end
    ended: str | None = None
    late: bool = False  # its executions changed after its end; whoever kept that takes it back
    dropped: bool = False
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    watched: dict[str, dict[str, Any]] = field(default_factory=dict)
    code: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)


class Fold:
    """What a journal's records say so far; feed it records in order, as often as they come.

    `load` gives outputs back that `put_away` stored: late output of an old execution needs them.
    """

    def __init__(self, load: Callable[[str], list[Output]] | None = None) -> None:
        self.session: dict[str, Any] = {}
        self.session_end: dict[str, Any] | None = None
        self.capture: dict[str, Any] = {}  # the last `capture` event
        self.sources_only = False  # at some time: outputs in the notebook file may be from then
        self.runs: dict[str, FoldedRun] = {}
        self.executions: dict[str, FoldedExecution] = {}
        self.changed: set[str] = set()  # keys of executions
        self.touched: set[str] = set()  # runs of which anything but executions changed
        self.offset = 0
        self.sequence: int | None = None
        self.last_ns = 0
        self._load = load
        self._run: str | None = None
        self._displays: dict[str, list[tuple[str, int]]] = {}
        self._widgets = Widgets()
        self._output_widgets: set[str] = set()
        self._skipped: set[str] = set()
        self._characters: dict[tuple[str, str], int] = {}  # recorded, by execution and stream
        self._seen: set[str] = set()
        self.forgotten: dict[str, tuple[str, int, str]] = {}  # key → run, number and source
        self.moved: set[tuple[str, int]] = set()  # run and number that an execution had before
        self.skipped_ids: set[str] = set()  # notebook cells that must not be kept
        self.skipped_sources: set[str] = set()  # digests of such sources

    def feed(self, item: Record | Lost) -> None:
        """Take the next record (or what could not be read) into account."""
        self.offset = item.end
        if isinstance(item, Lost):
            self._gap(item.reason)
            return
        self.sequence, self.last_ns = item.sequence, item.time_ns
        if item.is_message:
            try:
                frames = events.message_frames(item.payload)
                self._message(frames)
            except ODD as error:
                self._gap(f"a message could not be understood: {error}")
        elif item.is_event:
            fields = decode_event(item)
            if not fields:
                self._gap("an event could not be read")
            handler = getattr(self, "_on_" + str(fields.get("event")).replace("-", "_"), None)
            if handler is not None:  # events of a newer minor version are passed over
                try:
                    handler(fields, spelled_ns(item.time_ns))
                except ODD as error:
                    self._gap(f"an event could not be understood: {error!r}")

    def feed_tail(self, entries: Iterable[TailEntry]) -> None:
        """Add what the tail kept of prints that no record carries."""
        for entry in unrecorded(entries, self._characters):
            if (cell := self.executions.get(entry.key)) and cell.recorded:
                self._stream(cell, entry.name, entry.text)

    # -- events ---------------------------------------------------------------------------------

    def _on_session(self, fields: dict[str, Any], _time: str) -> None:
        self.session = fields

    def _on_session_end(self, fields: dict[str, Any], time: str) -> None:
        self.session_end = {**fields, "time": time}

    def _on_capture(self, fields: dict[str, Any], _time: str) -> None:
        self.capture = fields
        self.sources_only = self.sources_only or fields.get("capture") == "sources"

    def _on_run(self, fields: dict[str, Any], time: str) -> None:
        if fields["run"] in self.runs:
            return  # told twice: the first word counts
        run = FoldedRun(fields["run"], fields, time)
        self.runs[run.id] = run
        self._run = run.id
        self.touched.add(run.id)
        adopted = self.executions.get(fields.get("adopts") or "")
        if adopted is None:
            return
        previous = self.runs.get(adopted.run or "")
        if previous is not None and previous.end is not None:
            self._part(adopted, previous)
        self._place(adopted, run.id)
        if previous is not None and not previous.fields.get("explicit"):
            holds = previous.keys or previous.files or previous.watched
            previous.dropped = previous.dropped or not holds

    def _on_run_end(self, fields: dict[str, Any], time: str) -> None:
        run = self._run_of(fields)
        if run is None:
            return
        run.end, run.ended, run.end_at = fields, time, self.offset
        run.dropped = run.dropped or bool(fields.get("dropped"))
        if self._run == run.id:
            self._run = None

    def _on_run_update(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.fields = {**run.fields, **{k: v for k, v in fields.items() if k != "event"}}

    def _on_execution(self, fields: dict[str, Any], time: str) -> None:
        cell = self._cell(fields["key"])
        cell.cell_id = _name(fields.get("cell_id")) or cell.cell_id
        cell.store_history = bool(fields.get("store_history", True))
        if "source" in fields:
            cell.source = _text(fields["source"])
            cell.count = _number(fields.get("execution_count"))
            self._record(cell)
        cell.started = cell.started or time
        if fields.get("run") in self.runs:
            self._place(cell, fields["run"])
        if (run := self.runs.get(cell.run or "")) and (notebook := _name(fields.get("notebook"))):
            if "notebook" not in run.fields:
                self.touched.add(run.id)
            run.fields.setdefault("notebook", notebook)

    def _on_execution_end(self, fields: dict[str, Any], time: str) -> None:
        if cell := self.executions.get(fields["key"]):
            if fields.get("status") in get_args(Status):
                cell.status = fields["status"]
            cell.ended = time
            self._change(cell)

    def _on_output(self, fields: dict[str, Any], _time: str) -> None:
        cell = self.executions.get(fields["key"])
        if cell is None or not cell.recorded:
            return
        output = self._shaped(fields["output"].get("output_type"), fields["output"])
        display = _name(fields.get("display_id"))
        if output.get("output_type") == "stream":
            if not fields.get("past"):  # the tail holds what Python printed, and only that
                self._count(cell.key, output)
            self._stream(cell, output["name"], output["text"])
        elif output.get("output_type") == "update_display_data":
            self._update_display(display, output)
        elif output.get("output_type") in _SHAPES:
            self._append(cell, output, display)

    def _on_clear_output(self, fields: dict[str, Any], _time: str) -> None:
        if cell := self.executions.get(fields["key"]):
            self._clear(cell, bool(fields.get("wait")))

    def _on_stdin(self, fields: dict[str, Any], _time: str) -> None:
        cell = self.executions.get(fields["key"])
        if cell is not None and cell.recorded:
            answer = fields.get("answer") or ""
            self._stream(cell, "stdout", f"{fields.get('prompt', '')}{answer}\n")

    def _on_file(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.files[fields["path"]] = fields
            run.missing.pop(fields["path"], None)

    def _on_file_missing(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.missing[fields["path"]] = str(fields.get("reason"))

    def _on_watch(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.watched[fields["path"]] = fields

    def _on_code(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.code.update({entry["path"]: entry for entry in fields.get("files", ())})

    def _on_artifact(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.artifacts[fields["name"]] = {**fields, "at": self.offset}

    def _on_git(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.git = {k: v for k, v in fields.items() if k not in ("event", "run")}

    def _on_environment(self, fields: dict[str, Any], _time: str) -> None:
        if run := self._run_of(fields):
            run.environment = {k: v for k, v in fields.items() if k not in ("event", "run")}

    def _on_forget(self, fields: dict[str, Any], _time: str) -> None:
        self._skipped.add(fields["key"])
        self._widgets.forget(str(fields["key"]))
        key = fields["key"]
        for cell in [c for c in self.executions.values() if key in (c.key, c.part_of)]:
            del self.executions[cell.key]
            if run := self.runs.get(cell.run or ""):
                run.keys.remove(cell.key)
                run.recorded -= cell.recorded
                self.changed.discard(cell.key)
                self.forgotten[cell.key] = (run.id, cell.number, cell.source or "")
            self._skip(cell.cell_id, digest_of((cell.source or "").encode("utf-8", "replace")))

    def _on_skip(self, fields: dict[str, Any], _time: str) -> None:
        self._skip(fields.get("cell_id"), fields.get("source"))

    def _skip(self, cell_id: str | None, source: str | None) -> None:
        if cell_id:
            self.skipped_ids.add(cell_id)
        if source:
            self.skipped_sources.add(source)

    def _on_gap(self, fields: dict[str, Any], _time: str) -> None:
        self._gap(str(fields.get("reason")))

    def _run_of(self, fields: dict[str, Any]) -> FoldedRun | None:
        """Give the run that an event changes."""
        run = self.runs.get(fields.get("run") or "")
        if run is not None:
            self.touched.add(run.id)
        return run

    # -- messages -------------------------------------------------------------------------------

    def _message(self, frames: list[memoryview]) -> None:
        start = next(
            (i + 1 for i, frame in enumerate(frames) if bytes(frame[:10]) == _DELIMITER), 0
        )
        header, parent = _json(frames[start + 1]), _json(frames[start + 2])
        try:
            content = _json(frames[start + 4])
        except (ValueError, RecursionError):
            content = _readable(frames[start + 4])
            if not self._can_do_without(content, header.get("msg_type")):
                raise
        if (msg_id := str(header.get("msg_id"))) in self._seen:
            return
        self._seen.add(msg_id)
        kind, key = header.get("msg_type"), parent.get("msg_id")
        if kind in ("comm_open", "comm_msg", "comm_close"):
            self._widgets.comm(kind, self._said(content), frames[start + 5 :], str(key))
            return
        if not key or key in self._skipped:
            return
        content = self._shaped(kind, content)
        display = _name(_mapping(content.get("transient")).get("display_id"))
        if kind == "execute_input":
            cell = self._cell(key)
            cell.source = content["code"]
            cell.count = content["execution_count"]
            cell.started = _zulu(header.get("date")) or cell.started
            self._record(cell)
            if cell.run is None and self._run is not None:
                self._place(cell, self._run)
            return
        if kind == "update_display_data":  # whoever sends it: a widget's callback, too
            self._update_display(display, content)
            return
        known = self.executions.get(key)
        if known is None or not known.recorded:
            return
        if kind == "stream" and self._is_own(msg_id):
            self._count(key, content)
        if self._widgets.take(key, str(kind), content):
            return
        if kind == "stream":
            self._stream(known, content["name"], content["text"])
        elif kind in ("display_data", "execute_result"):
            output: Output = {
                "output_type": kind,
                "data": content["data"],
                "metadata": content["metadata"],
            }
            if kind == "execute_result":
                output["execution_count"] = content["execution_count"]
            self._append(known, output, display)
        elif kind == "error":
            error = {name: content[name] for name in ("ename", "evalue", "traceback")}
            self._append(known, {"output_type": "error", **error}, None)
            known.status = "error"
        elif kind == "clear_output":
            self._clear(known, bool(content.get("wait")))
        elif (
            kind == "status"
            and content.get("execution_state") == "idle"
            and parent.get("msg_type") == "execute_request"
        ):
            known.ended = _zulu(header.get("date")) or known.ended
            if known.status == "running":
                known.status = "ok"
            self._change(known)

    def _can_do_without(self, content: dict[str, Any], kind: Any) -> bool:
        """Take out of something shown what could not be read; False when that is all of it."""
        data = _mapping(content.get("data")) if "data" in _SHAPES.get(kind, {}) else {}
        unread = [name for name, value in data.items() if value is None]
        if len(unread) == len(data):
            return False
        for name in unread:
            del data[name]
            self._gap(f"the {name} of a message {kind} had to be left out: it cannot be read")
        return True

    def _shaped(self, kind: Any, content: dict[str, Any]) -> dict[str, Any]:
        """Give what a message or an output says, each field in the form it has to have.

        Nothing that is stored is trusted. Text in another form is spelled out, any other value
        left out, and a gap tells of it; ValueError for what shows nothing without that value.
        """
        shaped = dict(content)
        for name, shape in _SHAPES.get(kind, {}).items():
            value = content.get(name)
            if value is None and name == "transient":
                continue
            shaped[name] = shape(value)
            if value and not shaped[name]:
                self._gap(f"the {name} of a message {kind} had to be left out: it is odd")
        return shaped

    def _said(self, content: dict[str, Any]) -> dict[str, Any]:
        """Give a comm message; the state of an output widget in the form it has to have."""
        data = content.get("data")
        state = data.get("state") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(state, dict):
            return content
        comm, state = str(content.get("comm_id")), dict(state)
        if state.get("_model_name") == "OutputModel":
            self._output_widgets.add(comm)
        if comm not in self._output_widgets:
            return content
        if "msg_id" in state:
            state["msg_id"] = _text(state["msg_id"])
        if "outputs" in state:
            state["outputs"] = [*self._caught(state["outputs"])]
        return {**content, "data": {**data, "state": state}}

    def _caught(self, outputs: Any) -> Iterator[Output]:
        for output in outputs if isinstance(outputs, list) else [outputs]:
            try:
                yield self._shaped(output.get("output_type"), output)
            except ODD as error:
                self._gap(f"an output in a widget could not be understood: {error}")

    def _count(self, key: str, stream: dict[str, Any]) -> None:
        place = (key, stream["name"])
        self._characters[place] = self._characters.get(place, 0) + len(stream["text"])

    def _is_own(self, msg_id: str) -> bool:
        """Tell the session's own process from its forked children (`SESSION_PID_NUMBER`)."""
        parts = msg_id.rsplit("_", 2)
        return len(parts) < 3 or parts[1] == str(self.session.get("pid", parts[1]))

    # -- executions -----------------------------------------------------------------------------

    def _cell(self, key: str) -> FoldedExecution:
        if not isinstance(key, str):
            raise ValueError("the key of an execution is no text")
        if key not in self.executions:
            self.executions[key] = FoldedExecution(key)
        self._change(self.executions[key])
        return self.executions[key]

    def _change(self, cell: FoldedExecution) -> None:
        self.changed.add(cell.key)
        if (run := self.runs.get(cell.run or "")) and run.end is not None:
            run.late = True

    def _record(self, cell: FoldedExecution) -> None:
        if not cell.recorded and (run := self.runs.get(cell.run or "")):
            run.recorded += 1
        cell.recorded = True

    def _place(self, cell: FoldedExecution, run_id: str) -> None:
        if cell.run == run_id:
            return
        if (old := self.runs.get(cell.run or "")) and cell.key in old.keys:
            old.keys.remove(cell.key)
            old.recorded -= cell.recorded
            self.touched.add(old.id)
            self.moved.add((old.id, cell.number))
            old.late = old.end is not None
        run = self.runs[run_id]
        run.count += 1
        run.recorded += cell.recorded
        cell.run, cell.number = run_id, run.count
        run.keys.append(cell.key)
        self._change(cell)

    def _part(self, cell: FoldedExecution, run: FoldedRun) -> None:
        """Leave what a cell was so far with its run, which has ended: it goes on in another.

        A cell that holds a loop over runs is in each of them, with what it showed meanwhile; a run
        that ended is not changed by those that follow.
        """
        cell.clear_waits = False
        shown = self._outputs(cell)
        status: Status = "ok" if cell.status == "running" else cell.status
        part = replace(cell, key=f"{cell.key}\0{run.id}", part_of=cell.key, outputs=shown)
        part.status, part.ended = status, run.ended
        self.executions[part.key] = part
        run.keys[run.keys.index(cell.key)] = part.key
        for places in self._displays.values():
            places[:] = [(part.key if key == cell.key else key, at) for key, at in places]
        self._change(part)
        cell.run, cell.number, cell.outputs = None, 0, []

    def _outputs(self, cell: FoldedExecution) -> list[Output]:
        """Give the outputs to change them, fetched back if they were put away."""
        if cell.stored is not None:
            if self._load is None:
                raise ValueError("outputs were put away and nothing gives them back")
            cell.outputs, cell.stored = self._load(cell.stored), None
        self._change(cell)
        if cell.clear_waits:
            cell.clear_waits = False
            self._empty(cell)
        return cell.outputs

    def _stream(self, cell: FoldedExecution, name: str, text: str) -> None:
        outputs = self._outputs(cell)
        last = outputs[-1] if outputs else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            if isinstance(last["text"], list):
                last["text"].append(text)
            else:
                last["text"] = [last["text"], text]
        else:
            outputs.append({"output_type": "stream", "name": name, "text": [text]})

    def _append(self, cell: FoldedExecution, output: Output, display: str | None) -> None:
        if display:
            self._update_display(display, output)  # what was shown under this name follows
        outputs = self._outputs(cell)
        outputs.append(output)
        if display:
            self._displays.setdefault(display, []).append((cell.key, len(outputs) - 1))

    def _update_display(self, display: str | None, content: dict[str, Any]) -> None:
        for key, index in self._displays.get(display or "", ()):
            cell = self.executions.get(key)
            if cell is None:
                continue
            waits, cell.clear_waits = cell.clear_waits, False
            output = self._outputs(cell)[index]
            cell.clear_waits = waits
            output["data"] = content["data"]
            output["metadata"] = content["metadata"]

    def _clear(self, cell: FoldedExecution, wait: bool) -> None:
        if wait:
            cell.clear_waits = True
        else:
            cell.clear_waits = False
            self._outputs(cell)
            self._empty(cell)

    def _empty(self, cell: FoldedExecution) -> None:
        cell.outputs.clear()
        for display, places in list(self._displays.items()):
            places[:] = [place for place in places if place[0] != cell.key]
            if not places:
                del self._displays[display]

    def _gap(self, reason: str) -> None:
        if run := self.runs.get(self._run or next(reversed(self.runs), "")):
            run.gaps.append(reason)
            run.late = run.end is not None

    def put_away(self, key: str, place: str) -> None:
        """Let go of an execution's outputs: `load` gives them back for `place` from now on."""
        cell = self.executions[key]
        cell.outputs, cell.stored = [], place

    # -- what comes out -------------------------------------------------------------------------

    def outputs_of(self, key: str) -> list[Output]:
        """Give an execution's outputs in nbformat's form, streams joined."""
        cell = self.executions[key]
        if cell.stored is not None and self._load is not None:
            return self._load(cell.stored)
        return [_joined(output) for output in cell.outputs]

    def listed(self, run_id: str) -> list[FoldedExecution]:
        """Give the run's recorded executions in order."""
        cells = (self.executions.get(key) for key in self.runs[run_id].keys)
        return [cell for cell in cells if cell is not None and cell.recorded]

    def execution(self, key: str) -> Execution:
        """Give the frozen value of an execution."""
        cell = self.executions[key]
        return Execution(
            run=cell.run or "",
            number=cell.number,
            key=cell.part_of or cell.key,
            source=cell.source or "",
            started=cell.started,
            ended=cell.ended,
            status=cell.status,
            cell_id=cell.cell_id,
            execution_count=cell.count,
            store_history=cell.store_history,
        )

    def notebook(self, run_id: str) -> dict[str, Any]:
        """Give the run's session notebook (nbformat 4.5), outputs included."""
        shown: set[str] = set()
        cells = list(self._session_cells(run_id, shown))
        return {"cells": cells, **self._around_cells(run_id, bool(shown))}

    def dump(self, run_id: str) -> Iterator[bytes]:
        """Give what `dump_notebook` gives for the run's session notebook, a cell at a time."""
        shown: set[str] = set()
        lead = b'{\n "cells": [\n  '
        for cell in self._session_cells(run_id, shown):
            yield lead + _dump(cell).replace(b"\n", b"\n  ")
            lead = b",\n  "
        yield b'{\n "cells": [],' if lead[:1] == b"{" else b"\n ],"
        yield _dump(self._around_cells(run_id, bool(shown)))[1:] + b"\n"

    def _session_cells(self, run_id: str, shown: set[str]) -> Iterator[dict[str, Any]]:
        ids: dict[str, int] = {}
        for cell in self.listed(run_id):
            outputs = self.outputs_of(cell.key)
            shown.update(_views(outputs))
            yield session_cell(self.execution(cell.key), outputs, ids)

    def _around_cells(self, run_id: str, has_widgets: bool) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "kernelspec": self.session.get("kernelspec")
            or {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": self.session.get("language_info") or _PYTHON,
        }
        if gaps := self.runs[run_id].gaps:
            metadata["codesave"] = {"gaps": gaps}
        if has_widgets:
            metadata["widgets"] = self._widgets.state()
        return {"metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def session_cell(
    execution: Execution, outputs: list[Output], ids: dict[str, int]
) -> dict[str, Any]:
    """Lay out an execution as a cell of the session notebook; `ids` counts the ids given out.

    The id is the notebook cell's, then `-2`, `-3` … for its later executions, and without one a
    digest of the source: never anything of the run, so that two runs align.
    """
    given = execution.cell_id
    if given and _CELL_ID.fullmatch(given):
        base = given
    else:
        text = given or execution.source
        base = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    ids[base] = nth = ids.get(base, 0) + 1
    times = {
        "iopub.execute_input": execution.started,
        "iopub.status.busy": execution.started,
        "iopub.status.idle": execution.ended,
        "shell.execute_reply": execution.ended,
    }
    return {
        "cell_type": "code",
        "execution_count": execution.execution_count,
        "id": base if nth == 1 else f"{base}-{nth}",
        "metadata": {
            "codesave": {
                "execution": execution.number,
                "cell_id": execution.cell_id,
                "status": execution.status,
                "store_history": execution.store_history,
            },
            "execution": {name: time for name, time in times.items() if time},
        },
        "outputs": outputs,
        "source": execution.source,
    }


def dump_notebook(notebook: dict[str, Any]) -> bytes:
    """Give a notebook's bytes as Jupyter writes them, but sources and texts unsplit."""
    return _dump(notebook) + b"\n"


def _dump(part: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(part, ensure_ascii=False, indent=1, sort_keys=True)
    except RecursionError:  # without indents it goes deeper
        text = json.dumps(part, ensure_ascii=False, sort_keys=True)
    return text.encode("utf-8", "replace")


def _joined(output: Output) -> Output:
    if output.get("output_type") == "stream" and isinstance(output["text"], list):
        output["text"] = "".join(output["text"])
    return output


def _views(outputs: list[Output]) -> set[str]:
    return {
        view["model_id"]
        for output in outputs
        if isinstance(view := (output.get("data") or {}).get(VIEW), dict)
        and isinstance(view.get("model_id"), str)
    }


def _json(frame: memoryview) -> dict[str, Any]:
    found = json.loads(bytes(frame).decode("utf-8", "replace"))
    if not isinstance(found, dict):
        raise ValueError("a frame is not a JSON object")
    return found


def _readable(frame: memoryview) -> dict[str, Any]:
    """Give the content of a message with null for each value in its mappings that is not read.

    Python does not read what is nested by the thousand, nor numbers of thousands of digits.
    """
    text = bytes(frame).decode("utf-8", "replace")
    kept, at, depth, begin = "", 0, 0, 0
    for token in _TOKEN.finditer(text):
        kind = token[0][0]
        if kind == '"':
            continue
        depth -= kind in "]}"
        if depth == 2:
            begin = begin if kind in "]}" else token.start()
            if kind not in "[{":
                try:
                    json.loads(text[begin : token.end()])
                except (ValueError, RecursionError):
                    kept, at = f"{kept}{text[at:begin]}null", token.end()
        depth += kind in "[{"
    found = json.loads(kept + text[at:])
    return _mapping(found)


def _zulu(date: Any) -> str | None:
    """Give a message's date as the rest of the house writes times."""
    if not isinstance(date, str):
        return None
    try:
        moment = parsed(date)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return spelled(moment)
    except (ValueError, OverflowError):
        return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "".join(value)
    return "" if value is None else json.dumps(value)


def _texts(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [] if value is None else [value]
    return [_text(part) for part in parts]


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _stream_name(value: Any) -> str:
    return _name(value) or "stdout"


def _number(value: Any) -> int | None:
    is_one = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
    return value if is_one else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _bundle(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("what it shows is no mapping of types to data")
    return {
        mimetype: data if isinstance(data, str) or mimetype.endswith("json") else _text(data)
        for mimetype, data in value.items()
    }


def _transient(value: Any) -> dict[str, Any]:
    value = _mapping(value)
    return value if isinstance(value.get("display_id", ""), (str, type(None))) else {}


_SHOWN: dict[str, Callable[[Any], Any]] = {
    "data": _bundle,
    "metadata": _mapping,
    "transient": _transient,
}
_SHAPES: dict[Any, dict[str, Callable[[Any], Any]]] = {
    "execute_input": {"code": _text, "execution_count": _number},
    "stream": {"name": _stream_name, "text": _text},
    "display_data": _SHOWN,
    "update_display_data": _SHOWN,
    "execute_result": {**_SHOWN, "execution_count": _number},
    "error": {"ename": _text, "evalue": _text, "traceback": _texts},
}
