"""Kernels: runs, executions, late output, prompts, widgets, ends."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from tests.capture.journals import (
    all_events,
    cells,
    fold,
    is_anywhere,
    journal_paths,
    messages,
    outputs,
    records,
    text_of,
    the_journal,
)
from tests.conftest import Home, Kernel, wait_until


def evaluate(kernel: Kernel, code: str) -> str:
    """Run a cell and give what it printed."""
    printed: list[str] = []

    def note(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = kernel.client.execute_interactive(code, timeout=60, output_hook=note)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def runs(home: Home) -> list[Any]:
    return list(fold(the_journal(home.data)).runs.values())


# -- where nothing is recorded ------------------------------------------------------------------


def test_a_kernel_that_executes_nothing_leaves_nothing(home: Home) -> None:
    home.kernel().stop()
    assert journal_paths(home.data) == []


def test_silent_executions_are_never_recorded(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("print('CANARY')", silent=True)
    assert journal_paths(home.data) == []
    kernel.run("1")
    kernel.run("print('CANARY'); display(1)", silent=True)
    kernel.run("2")
    assert [cell["source"] for cell in cells(the_journal(home.data))] == ["1", "2"]
    assert not is_anywhere(home.data, "CANARY")


def test_nothing_heavy_is_imported_into_a_kernel(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import jupyter_codesave as c; c.save('nothing.txt', policy='now')")
    wait_until(lambda: all_events(the_journal(home.data), "environment"), "the background")
    heavy = ("nbformat", "nbdime", "sqlalchemy", "alembic", "jupyter_server", "zstandard")
    printed = evaluate(kernel, f"import sys; print([m for m in {heavy} if m in sys.modules])")
    assert printed == "[]\n"


# -- executions ---------------------------------------------------------------------------------


def test_cell_id_notebook_and_history_are_kept(home: Home) -> None:
    (home.work / "sub").mkdir()
    kernel = home.kernel("sub/analysis.ipynb")
    key = kernel.run("1 + 1", metadata={"cellId": "cell-a"})
    kernel.run("2 + 2", store_history=False)
    path = the_journal(home.data)
    first, second = all_events(path, "execution")
    assert first["key"] == key
    assert first["cell_id"] == "cell-a"
    assert first["notebook"] == str(home.work / "sub" / "analysis.ipynb")
    assert (first["store_history"], second["store_history"]) == (True, False)
    (run,) = runs(home)
    assert run.fields["notebook"] == first["notebook"]
    assert run.fields["project"] == "sub"
    assert run.fields["name"] == "analysis.ipynb"


def test_vs_codes_notebook_is_known(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("__vsc_ipynb_file__ = '/somewhere/code.ipynb'", silent=True)
    uri = "vscode-notebook-cell:/somewhere/code.ipynb#W0sZmlsZQ%3D%3D"
    kernel.run("1", metadata={"cellId": uri})
    (event,) = all_events(the_journal(home.data), "execution")
    assert (event["notebook"], event["cell_id"]) == ("/somewhere/code.ipynb", uri)


def test_a_kernel_started_from_a_cell_does_not_take_its_notebook_for_its_own(home: Home) -> None:
    kernel = home.kernel("outer.ipynb")
    kernel.run(
        "import sys, subprocess\n"
        "code = '''\n"
        "from jupyter_client.manager import start_new_kernel\n"
        "m, c = start_new_kernel()\n"
        "c.execute_interactive('1')\n"
        "c.stop_channels(); m.shutdown_kernel()\n"
        "'''\n"
        "subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)",
        timeout=120,
    )
    notebooks = [e["notebook"] for p in journal_paths(home.data) for e in all_events(p, "run")]
    assert set(notebooks) == {None, str(home.work / "outer.ipynb")}


def test_the_end_of_a_cell_has_its_status(home: Home) -> None:
    kernel = home.kernel()
    for code in ("1", "1/0", "get_ipython().run_cell('1/0'); 2", "", "await None", "def f(:"):
        kernel.run(code)
    path = the_journal(home.data)
    ends = [cell["metadata"]["codesave"]["status"] for cell in cells(path)]
    assert ends == ["ok", "error", "ok", "ok", "error", "error"]
    # The third shows an error and has none; where nothing failed the idle status is enough.
    ends = [event["status"] for event in all_events(path, "execution-end")]
    assert ends == ["error", "ok", "error", "error"]


def test_the_end_of_a_cell_has_its_status_where_no_outputs_are_kept(home: Home) -> None:
    kernel = home.kernel(CODESAVE="sources")
    for code in ("1", "1/0"):
        kernel.run(code)
    found = cells(the_journal(home.data))
    assert [cell["metadata"]["codesave"]["status"] for cell in found] == ["ok", "error"]
    assert [cell["outputs"] for cell in found] == [[], []]


def test_an_interrupted_cell_is_an_error_with_its_output(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import time")
    kernel.client.execute("print('begun', flush=True); time.sleep(60)")
    path = the_journal(home.data)
    wait_until(lambda: "begun" in text_of(cells(path)[-1]["outputs"]), "the first print")
    kernel.manager.interrupt_kernel()
    wait_until(lambda: list(fold(path).executions.values())[-1].ended, "the end of the cell")
    last = cells(path)[-1]
    assert last["metadata"]["codesave"]["status"] == "error"
    assert last["outputs"][-1]["ename"] == "KeyboardInterrupt"
    assert kernel.run("3")


def test_prints_after_the_end_of_their_cell_belong_to_it(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import asyncio, threading\n"
        "go, done = threading.Event(), threading.Event()\n"
        "def late():\n"
        "    go.wait(); print('late'); done.set()\n"
        "threading.Thread(target=late).start()\n"
        "async def later(): print('task')\n"
        "task = asyncio.ensure_future(later())"
    )
    kernel.run("await task; go.set(); done.wait()")
    kernel.run("3")
    first = cells(the_journal(home.data))[0]
    assert sorted(text_of(first["outputs"]).split()) in (["late", "task"], ["task"])


def test_what_threads_tasks_and_children_print_is_all_there(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import os, sys, threading, time\n"
        "for n in range(20):\n"
        "    t = threading.Thread(target=print, args=(f't{n}',)); t.start(); t.join()\n"
        "sys.stdout.flush()\n"  # a child prints again what waited when it was forked
        "for n in range(3):\n"
        "    if os.fork() == 0:\n"
        "        print(f'c{n}', flush=True); os._exit(0)\n"
        "    os.wait()\n"
        "time.sleep(0.5)"
    )
    words = text_of(cells(the_journal(home.data))[0]["outputs"]).split()
    assert sorted(words) == sorted([f"t{n}" for n in range(20)] + [f"c{n}" for n in range(3)])


def test_prompts_are_kept_and_answers_only_if_asked_for(home: Home) -> None:
    for setting, wanted in (("false", None), ("true", "forty-two")):
        kernel = home.kernel(CODESAVE_INPUT_ANSWERS=setting)
        code = "import getpass\nx = input('how many? '); y = getpass.getpass('secret? ')"
        kernel.client.execute_interactive(
            code,
            allow_stdin=True,
            timeout=60,
            output_hook=lambda message: None,
            stdin_hook=lambda message, kernel=kernel: kernel.client.input(
                "CANARY" if message["content"]["password"] else "forty-two"
            ),
        )
        path = journal_paths(home.data)[-1]
        asked, secret = all_events(path, "stdin")
        assert (asked["prompt"], asked["answer"]) == ("how many? ", wanted)
        assert (secret["prompt"], secret["answer"]) == ("secret? ", None)
    assert not is_anywhere(home.data, "CANARY")


def test_widgets_are_recorded_with_their_buffers(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import ipywidgets as w\nfrom IPython.display import display\n"
        "slider = w.IntSlider(value=3); image = w.Image(value=bytes(range(256)))\n"
        "display(slider, image)"
    )
    kernel.run("slider.value = 7")
    kernel.run("import time; time.sleep(0.3)")
    path = the_journal(home.data)
    assert any(bytes(range(256)) in message["buffers"] for message in messages(path))
    (run,) = fold(path).runs
    state = fold(path).notebook(run)["metadata"]["widgets"]
    (slider,) = [
        each["state"]
        for each in state["application/vnd.jupyter.widget-state+json"]["state"].values()
        if each["model_name"] == "IntSliderModel"
    ]
    assert slider["value"] == 7


def test_every_message_that_a_client_sees_is_recorded_byte_for_byte(home: Home) -> None:
    kernel = home.kernel()
    seen: list[dict[str, Any]] = []
    code = "for n in range({0}, {0} + 300):\n    display(n)\n    print(n, flush=n % 10 == 0)"
    for start in range(0, 3000, 300):  # a publisher drops what a slow client has over 1,000 of
        kernel.client.execute_interactive(code.format(start), timeout=120, output_hook=seen.append)
    recorded = {
        message["header"]["msg_id"]: message for message in messages(the_journal(home.data))
    }
    for message in seen:
        if message["content"].get("execution_state") in ("busy", "starting"):
            continue
        mine = recorded.pop(message["header"]["msg_id"])
        assert mine["content"] == json.loads(json.dumps(message["content"]))
    assert recorded == {}


# -- runs ---------------------------------------------------------------------------------------


def test_a_kernel_that_packs_its_messages_otherwise_is_recorded(home: Home) -> None:
    manager = KernelManager(kernel_name="python3")
    arguments = ["--Session.packer=pickle", "--Session.unpacker=pickle"]
    manager.start_kernel(env=home.environment, cwd=str(home.work), extra_arguments=arguments)
    client = manager.client()
    client.session.packer = client.session.unpacker = "pickle"
    client.start_channels()
    client.wait_for_ready(timeout=60)
    kernel = Kernel(manager, client)
    home.kernels.append(kernel)
    kernel.run("print('told'); 1 + 1")
    (shown,) = outputs(the_journal(home.data))
    assert text_of(shown) == "told\n"
    assert shown[1]["data"] == {"text/plain": "2"}


def test_init_in_the_first_cell_takes_the_cell_over(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import jupyter_codesave as c; run = c.init(project='p', name='n')")
    kernel.run("print(2)")
    dropped, mine = runs(home)
    assert dropped.dropped
    assert len(mine.keys) == 2
    assert (mine.fields["project"], mine.fields["name"]) == ("p", "n")


def test_init_later_ends_the_automatic_run_and_takes_its_own_cell_along(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("1")
    kernel.run("import jupyter_codesave as c; run = c.init(); print('in the new run')")
    kernel.run("3")
    wait_until(lambda: all_events(the_journal(home.data), "run-end"), "the end of the first run")
    first, second = runs(home)
    folded = fold(the_journal(home.data))
    assert [folded.executions[key].source for key in first.keys] == ["1"]
    assert [folded.executions[key].source for key in second.keys][1:] == ["3"]
    assert first.end is not None
    assert first.end["ended_by"] == "finish"


def test_finish_keeps_what_its_own_cell_prints_and_the_next_cell_begins_a_run(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import jupyter_codesave as c; run = c.init()")
    kernel.run("run.finish(); print('still here')")
    kernel.run("4")
    path = the_journal(home.data)
    explicit, automatic = [run for run in runs(home) if not run.dropped]
    assert not automatic.fields["explicit"]
    assert len(automatic.keys) == 1
    assert explicit.end is not None
    texts = [text_of(cell["outputs"]) for cell in fold(path).notebook(explicit.id)["cells"]]
    assert texts == ["", "still here\n"]


def test_without_automatic_only_explicit_runs_are_recorded(home: Home) -> None:
    kernel = home.kernel(CODESAVE_AUTOMATIC="false")
    kernel.run("'CAN' + 'ARY'")
    kernel.run("import jupyter_codesave as c; run = c.init(project='p'); print('from here on')")
    kernel.run("5")
    kernel.run("run.finish()")
    kernel.run("'CAN' 'ARY'")
    path = the_journal(home.data)
    assert not is_anywhere(home.data, "CANARY")
    (run,) = runs(home)
    found = fold(path).notebook(run.id)["cells"]
    assert [cell["source"] for cell in found][1:] == ["5", "run.finish()"]
    assert "init" in found[0]["source"]
    assert text_of(found[0]["outputs"]) == "from here on\n"


def test_config_changes_go_to_the_journal(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import jupyter_codesave as c; run = c.init(config={'a': 1})")
    kernel.run("run.config.b = 2; run.config.update(c=3); c.config['d'] = 4; del run.config['a']")
    assert runs(home)[-1].fields["config"] == {"b": 2, "c": 3, "d": 4}


# -- ends ---------------------------------------------------------------------------------------


def ended_by(home: Home) -> str:
    wait_until(lambda: journal_paths(home.data), "the journal")
    path = the_journal(home.data)
    end = wait_until(lambda: all_events(path, "session-end"), "the end of the session")
    return str(end[0]["ended_by"])


def test_a_shutdown_is_told_from_a_restart_and_an_exit(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("1")
    kernel.manager.shutdown_kernel()
    assert ended_by(home) == "shutdown"


def test_a_restart_ends_the_session_and_begins_another(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("1")
    first = the_journal(home.data)
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(60)
    assert ended_by(home) == "restart"
    kernel.run("2")
    assert len(journal_paths(home.data)) == 2
    assert not first.with_suffix(".tail").exists()


def test_exit_in_a_cell_is_an_exit(home: Home) -> None:
    kernel = home.kernel()
    kernel.client.execute("print('last words'); exit()")
    assert ended_by(home) == "exit"
    assert text_of(cells(the_journal(home.data))[0]["outputs"]) == "last words\n"


def test_sigterm_leaves_every_completed_cell(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("print(1)")
    os.kill(kernel.manager.provisioner.process.pid, signal.SIGTERM)
    wait_until(lambda: kernel.manager.provisioner.process.poll() is not None, "the kernel's end")
    (cell,) = cells(the_journal(home.data), dead=True)
    assert text_of(cell["outputs"]) == "1\n"


# -- bad surroundings ---------------------------------------------------------------------------


def test_a_data_folder_that_cannot_be_made_harms_no_cell(home: Home) -> None:
    (home.folder / "file").write_text("")
    home.environment["CODESAVE_DIR"] = str(home.folder / "file" / "codesave")
    kernel = home.kernel()
    assert evaluate(kernel, "print(6 * 7)") == "42\n"
    state = evaluate(kernel, "%codesave")
    assert state.startswith("Not recording: ")
    assert "file" in state


def test_recording_begins_when_the_folder_can_be_made(home: Home) -> None:
    (home.folder / "file").write_text("")
    home.environment["CODESAVE_DIR"] = str(home.folder / "file" / "codesave")
    kernel = home.kernel()
    kernel.run("1")
    (home.folder / "file").unlink()
    kernel.run("2")
    assert [
        cell["source"] for cell in cells(the_journal(Path(home.environment["CODESAVE_DIR"])))
    ] == ["2"]


def test_a_broken_setting_stops_recording_and_is_named(home: Home) -> None:
    kernel = home.kernel(CODESAVE_DURABILITY="forever")
    kernel.run("1")
    state = evaluate(kernel, "%codesave")
    assert "durability" in state
    assert "forever" in state
    assert journal_paths(home.data) == []


def test_a_purged_journal_is_followed_by_a_new_session(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("1")
    old = the_journal(home.data)
    old.unlink()

    def is_new() -> bool:
        kernel.run("2")
        return bool(journal_paths(home.data))

    wait_until(is_new, "a new journal")
    path = the_journal(home.data)
    assert path != old
    assert records(path)[0].sequence == 0


def test_a_users_earlier_startup_file_may_fail(home: Home) -> None:
    startup = Path(home.environment["IPYTHONDIR"]) / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "90-later.py").write_text("raise RuntimeError('theirs')")
    kernel = home.kernel()
    kernel.run("1")
    assert len(cells(the_journal(home.data))) == 1


def test_unloading_ends_the_session_and_loading_again_begins_one(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("%load_ext jupyter_codesave")
    kernel.run("%unload_ext jupyter_codesave")
    kernel.run("print('CANA' 'RY')")
    kernel.run("%load_ext jupyter_codesave")
    kernel.run("2")
    assert not is_anywhere(home.data, "CANARY")
    first, second = journal_paths(home.data)
    assert len(cells(first)) == 2
    assert [cell["source"] for cell in cells(second)] == ["2"]


def test_a_disk_that_is_full_for_a_while_costs_a_gap_and_no_cell(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import resource, time; print('before')")
    size = the_journal(home.data).stat().st_size
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, ({}, resource.RLIM_INFINITY))"
    kernel.run(limit.format(size + 3000) + "\nfor n in range(9): display('x' * 5000)")
    assert evaluate(kernel, "print(6 * 7)") == "42\n"
    state = evaluate(kernel, "%codesave")
    assert state.startswith("Not recording: ")
    kernel.run(limit.format("resource.RLIM_INFINITY") + "; time.sleep(1.1)")
    kernel.run("print('after')")
    path = the_journal(home.data)
    assert evaluate(kernel, "%codesave").startswith("Recording")
    found = cells(path)
    assert text_of(found[0]["outputs"]) == "before\n"
    assert [text_of(c["outputs"]) for c in found if c["source"] == "print('after')"] == ["after\n"]
    (gap,) = all_events(path, "gap")
    assert gap["lost"] > 0


def test_what_was_printed_on_a_full_disk_is_there_when_the_kernel_has_left(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("print('before')")
    kernel.run(
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "(journal,) = Path(os.environ['CODESAVE_DIR'], 'journal').glob('*.journal')\n"
        "def full(): resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size,) * 2)"
    )
    # IPython's own history complains, too, before or after: a print of two writes would be cut.
    kernel.run("full(); _ = sys.stdout.write('on a full disk\\n')")
    kernel.stop()
    home.json("runs")
    run = home.json("runs")[0]
    shown = json.loads(home.command("notebook", run["id"]).stdout)["cells"]
    texts = [text_of(cell["outputs"]) for cell in shown]
    assert texts[:2] == ["before\n", ""]
    assert "on a full disk\n" in texts[2]


def test_with_durability_cell_a_cell_is_on_the_disk_when_it_ends(home: Home) -> None:
    kernel = home.kernel(CODESAVE_DURABILITY="cell")
    kernel.run(
        "import jupyter_codesave.journal.writer as w\n"
        "synced = []; flush = w._flush\n"
        "w._flush = lambda handle: (synced.append(1), flush(handle))"
    )
    for _ in range(5):
        kernel.run("1")
    assert int(evaluate(kernel, "print(len(synced))")) >= 6
