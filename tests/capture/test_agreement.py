"""The observer and the tap, on the same kernel: they agree message by message."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jupyter_codesave.journal import events
from jupyter_codesave.journal.reader import session_event
from tests.capture.journals import journal_paths, messages, records, the_journal
from tests.conftest import Lab, wait_until
from tests.server.test_observer import ask, install_spec, start

MESSAGES = 20_000
CELLS = (
    f"for n in range({MESSAGES} // 2):\n    display(n)\n    print(n, flush=True)",
    "for n in range(20):\n    display('x' * 300_000 * (n % 5))\n    print(n)",
    "import ipywidgets, threading\n"
    "button = ipywidgets.Button(); image = ipywidgets.Image(value=bytes(range(256)) * 2000)\n"
    "button.on_click(lambda _: print('clicked', flush=True))\n"
    "display(button, image)",
    "image.value = b'x' * 600_000; threading.Thread(target=print, args=('thread',)).start()",
    "print('a\\udc80b'); 'x\udc80y'",
    "h = display('one', display_id=True); h.update('two')\n"
    "from IPython.display import clear_output\nclear_output(wait=True); print('after')",
    "1 / 0",
    "%%codesave skip\nhidden = ipywidgets.Button(description='canary-51')\n"
    "hidden.on_click(lambda _: print('canary-51', flush=True)); display(hidden)",
    "hidden.description = 'canary' + '-51'",
    "!echo from a child; echo and its stderr >&2",
    "print('the last')",
)


def click(client: Any, comm: str) -> None:
    """Press a button, as a front end does."""
    content = {"comm_id": comm, "data": {"method": "custom", "content": {"event": "click"}}}
    client.shell_channel.send(client.session.msg("comm_msg", content))


def comm_of(client: Any, name: str) -> str:
    reply = client.execute(
        "", user_expressions={"x": f"{name}.comm.comm_id"}, silent=True, reply=True, timeout=60
    )
    return str(eval(reply["content"]["user_expressions"]["x"]["data"]["text/plain"]))


def message_with(path: Path, source: str) -> str:
    """Give the key of the execution of `source`."""
    return next(
        str(each["parent"]["msg_id"])
        for each in messages(path)
        if each["type"] == "execute_input" and each["content"]["code"] == source
    )


def ends(path: Path, key: str) -> bool:
    """Tell whether the idle message of an execution is there: it follows the reply."""
    return any(e["type"] == "status" and e["parent"]["msg_id"] == key for e in messages(path))


def message_payloads(path: Path) -> list[bytes]:
    return [record.payload for record in records(path) if record.is_message]


def test_the_observer_and_the_tap_agree_message_by_message(lab: Lab, tmp_path: Path) -> None:
    # A data folder of its own: the server does not see that this kernel records itself.
    own = tmp_path / "own"
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    install_spec(lab, "twice", ["env", f"CODESAVE_DIR={own}", *argv], "python")
    kernel_id, client = start(lab, "twice", "twice.ipynb")

    def observed() -> list[bytes]:
        for path in journal_paths(lab.home.data):
            session = session_event(path)
            if session.get("kernel_id") == kernel_id and session.get("by") == "server":
                return message_payloads(path)
        return []

    def is_heard() -> bool:
        client.execute("'is the observer there?'", reply=True, timeout=60)
        return bool(observed())

    try:
        wait_until(is_heard, "the first observed message")
        for cell in CELLS:
            client.execute(cell, reply=True, timeout=120, stop_on_error=False)
            if "button" in cell or "hidden" in cell:
                click(client, comm_of(client, "hidden" if "hidden" in cell else "button"))
        last = message_with(the_journal(own), CELLS[-1])
        wait_until(lambda: ends(the_journal(own), last), "the end in the kernel's journal")
        tapped = message_payloads(the_journal(own))
        wait_until(lambda: observed()[-1:] == tapped[-1:], "the last message", 120)
        found = observed()
        assert found == tapped[tapped.index(found[0]) :]
    finally:
        client.stop_channels()
        ask(lab, f"kernels/{kernel_id}", "DELETE")
    assert len(found) > MESSAGES
    kinds = {json.loads(events.message_frames(p)[3].tobytes())["msg_type"] for p in found}
    assert {"comm_open", "comm_msg", "display_data", "error", "stream", "status"} <= kinds
    assert sum(b"clicked" in payload for payload in found) >= 2
    assert not any(b"canary-51" in payload for payload in found)
