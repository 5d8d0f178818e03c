"""The tap: sees each iopub message of an ipykernel as it goes out, and hands its frames on."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..journal.events import message_payload
from ..journal.interrupts import is_interrupt
from .recorder import Recorder

if TYPE_CHECKING:
    from .session import Session

_DELIMITER = b"<IDS|MSG>"
_REQUEST = b"execute_request"
_COMM = re.compile(rb'"comm_id"\s*:\s*"([^"\\]*)"').search
_NO_OUTPUT = frozenset(
    b"execute_input comm_open comm_msg comm_close shutdown_reply debug_event iopub_welcome".split()
)

Frames = Sequence[bytes]


class Tap:
    """Sits on `kernel.iopub_thread.send_multipart`; a message is recorded, then sent."""

    def __init__(self, kernel: Any, recorder: Recorder) -> None:
        self._kernel = kernel
        self._recorder = recorder
        self._last = b"", ("", b"")  # a parent frame, its id and type
        self._comms: set[bytes] = set()  # opened by cells that are not recorded
        self._callbacks: set[str] = set()  # requests to these
        self._send = kernel.iopub_thread.send_multipart
        self._input = getattr(kernel, "_input_request", None)
        self._disowned: tuple[str, Any, Any] | None = None  # whose threads, our start, their start
        self._missed: list[Frames] = []  # what came when there was no room on the stack
        self._echoes: list[tuple[Any, Any]] = []
        self._wrapped: list[tuple[Any, str, Any, Any]] = []  # owner, name, ours, what was there
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._ask_again)
        self._is_json = kernel.session.pack({}) == b"{}"
        pack = kernel.session.pack if self._is_json else _pack
        self._id_is, self._type_is = (pack({name: ""})[1:-2] for name in ("msg_id", "msg_type"))

    def install(self) -> None:
        """Begin to see messages."""
        self._wrap(self._kernel.iopub_thread, "send_multipart", self.send_multipart)
        if self._input is not None:
            self._wrap(self._kernel, "_input_request", self._input_request)

    def _wrap(self, owner: Any, name: str, ours: Any) -> None:
        self._wrapped.append((owner, name, ours, vars(owner).get(name)))
        setattr(owner, name, ours)

    def remove(self) -> None:
        """See nothing any more."""
        self._own_threads()
        for owner, name, ours, before in self._wrapped:
            if vars(owner).get(name) != ours:
                continue  # somebody wrapped it after us: what it calls hands on
            if before is None:
                del vars(owner)[name]
            else:
                setattr(owner, name, before)
        self._wrapped.clear()
        for stream, echo in self._echoes:
            stream.echo = echo
        self._ask_again()
        self._echoes.clear()

    def _ask_again(self) -> None:
        """Let the streams ask which process they are in."""
        for stream, _ in self._echoes:
            vars(stream).pop("_is_master_process", None)

    def send_multipart(self, frames: Any, *args: Any, **kwargs: Any) -> Any:
        """Record, then send; what the client sees is in the journal."""
        if self._recorder.is_here:
            try:
                if self._missed:
                    self._catch_up()
                self._observe(frames)
            except RecursionError:  # the user's code stands where there is no room for ours
                self._missed.append(frames)
            except Exception as error:
                if is_interrupt(error):
                    raise
                self._recorder.note_fault(error)
        return self._send(frames, *args, **kwargs)

    def _catch_up(self) -> None:
        missed, self._missed = self._missed, []
        while missed:
            try:
                self._observe(missed[0])
            except RecursionError:
                self._missed = missed
                raise
            del missed[0]

    def _observe(self, frames: Frames) -> None:
        if not self._is_json:
            frames = self._as_json(frames)
        if frames[1] == _DELIMITER:
            header, parent, content = frames[3], frames[4], frames[6]
        else:
            at = frames.index(_DELIMITER)
            header, parent, content = frames[at + 2], frames[at + 3], frames[at + 5]
        kind = _said(header, self._type_is) or _kind(header)
        last = self._last
        key, asked = last[1] if parent == last[0] else self._identify(parent)
        recorder = self._recorder
        if kind == b"status":
            if self._comms:
                self._note_callback(key, asked)
            if asked == _REQUEST:
                self._status(key, frames, content)
        elif asked == _REQUEST and key in recorder.kept and kind not in _NO_OUTPUT:
            recorder.message(frames)
            if kind == b"error":
                recorder.failed.add(key)
        elif kind == b"execute_input":
            self._execute_input(key, frames, content)
        elif kind.startswith(b"comm_"):
            self._comm(kind, key, asked, frames, content)
        elif kind == b"shutdown_reply":
            recorder.asked_to_end(restart=bool(_loaded(content).get("restart")))
        elif asked == _REQUEST or kind in _NO_OUTPUT:
            pass
        elif recorder.keeps_outputs and key not in self._callbacks:
            recorder.message(frames)  # what a widget's callback displays

    def _status(self, key: str, frames: Frames, content: bytes) -> None:
        """An execution is about to begin, or over."""
        if b'"idle"' not in content:
            self._recorder.look(key)
            return
        if self._disowned and self._disowned[0] == key:
            self._own_threads()
        if key in self._recorder.recorded:
            self._recorder.idle(key, message_payload(frames))

    def _identify(self, parent: bytes) -> tuple[str, bytes]:
        """Give the parent's msg_id and msg_type."""
        found, asked = _said(parent, self._id_is), _said(parent, self._type_is)
        if found and asked and b"\\" not in found:
            identity = found.decode("utf-8", "replace"), asked
        else:
            header = _loaded(parent) if parent else {}
            said = str(header.get("msg_type") or "").encode("utf-8", "replace")
            identity = str(header.get("msg_id") or ""), said
        self._last = parent, identity
        return identity

    def _as_json(self, frames: Frames) -> Frames:
        """Kernels can be told to pack what they say otherwise; journals are JSON."""
        at = list(frames).index(_DELIMITER) + 2
        parts = [_pack(self._kernel.session.unpack(part)) for part in frames[at : at + 4]]
        return [*frames[:at], *parts, *frames[at + 4 :]]

    def _execute_input(self, key: str, frames: Frames, content: bytes) -> None:
        recorder = self._recorder
        if key in recorder.recorded:  # sent again
            recorder.message(frames)
            return
        request = self._kernel.get_parent("shell") or {}
        metadata: dict[str, Any] = {}
        cell_id, is_stored = None, True
        if request.get("header", {}).get("msg_id") == key:
            asked = request["content"]
            source, is_stored = asked.get("code", ""), bool(asked.get("store_history", True))
            if metadata := request.get("metadata") or {}:
                cell_id = metadata.get("cellId")
                cell_id = cell_id if isinstance(cell_id, str) else None
        else:
            source = _loaded(content).get("code", "")
        if not recorder.begin(key, source, metadata, cell_id):
            self._disown_threads(key, request)
            return
        recorder.opened(
            key,
            message_payload(frames),
            cell_id=cell_id,
            notebook=recorder.notebook(),
            store_history=is_stored,
        )

    def _disown_threads(self, key: str, request: dict[str, Any]) -> None:
        """Threads that this cell starts print under its name, also when a later cell runs.

        Without this, newer ipykernels give what they print to the cell that runs then.
        """
        self._own_threads()
        start = threading.Thread.start
        shell = self._kernel.shell
        publishers = [sys.stdout, sys.stderr, shell.display_pub, shell.displayhook]
        named: list[Any] = [each for each in publishers if hasattr(each, "set_thread_parent")]
        if not named:
            return

        def start_disowned(thread: threading.Thread) -> None:
            # Whoever wrapped this meanwhile calls it for ever, and other shells call it as well.
            is_mine = self._disowned is not None and self._disowned[1] is start_disowned
            if not is_mine or named[0].parent_header.get("msg_id") != key:
                start(thread)
                return
            run = thread.run

            def run_disowned() -> None:
                for each in named:
                    each.set_thread_parent(request)
                run()

            thread.run = run_disowned  # type: ignore[method-assign]  # of this thread alone
            start(thread)

        # Put back by `_own_threads`.
        threading.Thread.start = start_disowned  # type: ignore[assignment,method-assign]
        self._disowned = (key, start_disowned, start)

    def _own_threads(self) -> None:
        if self._disowned and threading.Thread.start is self._disowned[1]:
            threading.Thread.start = self._disowned[2]  # type: ignore[method-assign]  # its own
        self._disowned = None

    def _comm(self, kind: bytes, key: str, asked: bytes, frames: Frames, content: bytes) -> None:
        recorder = self._recorder
        if (asked == _REQUEST and key not in recorder.kept) or key in self._callbacks:
            if kind == b"comm_open":
                self._comms.add(_comm_id(content))
            return
        if self._comms and _comm_id(content) in self._comms:
            return
        if recorder.keeps_outputs:
            recorder.message(frames)

    def _note_callback(self, key: str, asked: bytes) -> None:
        """A request begins: what a widget of an unrecorded cell does is not recorded either."""
        request = (self._kernel.get_parent("shell") or {}) if asked == b"comm_msg" else {}
        if request.get("header", {}).get("msg_id") == key:
            comm = str(request["content"].get("comm_id")).encode("utf-8", "replace")
            if comm in self._comms:
                self._callbacks.add(key)

    # -- prompts --------------------------------------------------------------------------------

    def _input_request(
        self, prompt: Any, ident: Any, parent: Any, *args: Any, **kwargs: Any
    ) -> Any:
        answer = self._input(prompt, ident, parent, *args, **kwargs)  # type: ignore[misc]  # set while installed
        self._recorder.guarded(self._answered, prompt, parent, answer, args, kwargs)
        return answer

    def _answered(self, prompt: Any, parent: Any, answer: Any, args: Any, kwargs: Any) -> None:
        recorder = self._recorder
        key = (parent or {}).get("header", {}).get("msg_id")
        password = kwargs.get("password", args[0] if args else False)
        if not isinstance(key, str) or not recorder.keeps(key):
            return
        kept = answer if recorder.switch.value("input_answers") and not password else None
        recorder.event("stdin", key=key, prompt=str(prompt), answer=kept)

    # -- what was printed and is not yet published ----------------------------------------------

    def follow_prints(self, session: Session) -> None:
        """Have the streams lay what is printed into the session's tail."""
        if session.tail is None:
            return
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if not (hasattr(stream, "echo") and hasattr(stream, "parent_header")):
                continue
            known = next((echo for each, echo in self._echoes if each is stream), stream.echo)
            if not any(each is stream for each, _ in self._echoes):
                self._echoes.append((stream, known))
            stream.echo = session.tail.stream(name, stream, self._recorder.keeps, known)
            if hasattr(stream, "_is_master_process") and hasattr(os, "register_at_fork"):
                # It asks the system for its process at every print, which costs as much as the
                # tail does. Without a fork the answer is always the same.
                stream._is_master_process = itertools.repeat(True).__next__


def _pack(content: Any) -> bytes:
    from jupyter_client.session import json_packer

    packed: bytes = json_packer(content)
    return packed


def _loaded(frame: bytes) -> dict[str, Any]:
    """Lone surrogates make frames that are no UTF-8."""
    found: dict[str, Any] = json.loads(bytes(frame).decode("utf-8", "replace"))
    return found


def _said(header: bytes, name: bytes) -> bytes:
    """Give the value of a header's field, in half of a regular expression's time."""
    return header.partition(name)[2].partition(b'"')[0]


def _kind(header: bytes) -> bytes:
    return str(_loaded(header)["msg_type"]).encode()


def _comm_id(content: bytes) -> bytes:
    found = _COMM(content)
    return found[1] if found else b""
