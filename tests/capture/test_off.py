"""Off is off: a canary run under each level is nowhere in the data folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.capture.journals import (
    all_events,
    cells,
    fold,
    is_anywhere,
    journal_paths,
    outputs,
    text_of,
    the_journal,
)
from tests.conftest import Home, Kernel

CANARY = "canary" + "-7f3a9c"
# Source, output streams, display, result, error, a late print and a widget: all hold the canary.
CELL = f"""
import sys, threading, time
print('{CANARY}'); print('{CANARY}', file=sys.stderr)
from IPython.display import display, HTML
display(HTML('<b>{CANARY}</b>'), display_id='{CANARY}')
import ipywidgets
text = ipywidgets.Text(value='{CANARY}'); display(text); text.value = '{CANARY}!'
go = threading.Event()
late = threading.Thread(target=lambda: (go.wait(), print('{CANARY}', 'late')))
late.start()
print('{CANARY}' * 100_000)
raise ValueError('{CANARY}')
"""
LATER = "go.set(); late.join(); text.value = 'x'; import time; time.sleep(0.3)"


def _by_environment(home: Home) -> Kernel:
    return home.kernel(CODESAVE="off")


def _by_setting_in_the_environment(home: Home) -> Kernel:
    return home.kernel(CODESAVE_CAPTURE="off")


def _by_not_being_automatic(home: Home) -> Kernel:
    return home.kernel(CODESAVE_AUTOMATIC="false")


def _by_project_file(home: Home) -> Kernel:
    (home.work / "pyproject.toml").write_text('[tool.codesave]\ncapture = "off"\n')
    return home.kernel()


def _by_user_setting(home: Home) -> Kernel:
    home.data.mkdir(mode=0o700)
    (home.data / "control.json").write_text(json.dumps({"user": {"capture": "off"}}))
    return home.kernel()


def _by_config_file(home: Home) -> Kernel:
    folder = Path(home.environment["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True)
    file = folder / "jupyter_codesave_config.json"
    file.write_text(json.dumps({"CodeSave": {"capture": "off"}}))
    return home.kernel()


def _by_an_administrator(home: Home) -> Kernel:
    folder = home.work.parent / "etc"
    folder.mkdir()
    config = {"CodeSave": {"capture": "off", "locked": ["capture"]}}
    (folder / "jupyter_codesave_config.json").write_text(json.dumps(config))
    home.data.mkdir(mode=0o700)
    (home.data / "control.json").write_text(json.dumps({"user": {"capture": "all"}}))
    kernel = home.kernel(JUPYTER_CONFIG_PATH=str(folder), CODESAVE="all")
    kernel.run("%codesave on")
    kernel.run("import jupyter_codesave as codesave; codesave.init(settings={'capture': 'all'})")
    return kernel


def _by_the_settings_of_a_run(home: Home) -> Kernel:
    kernel = home.kernel()
    kernel.run("import jupyter_codesave as codesave")
    kernel.run("codesave.init(settings=codesave.Settings(capture='off'))")
    return kernel


def _by_notebook_metadata(home: Home) -> Kernel:
    home.data.mkdir(mode=0o700)
    notebooks = {str(home.work / "private.ipynb"): {"capture": "off"}}
    (home.data / "control.json").write_text(json.dumps({"notebooks": notebooks}))
    return home.kernel("private.ipynb")


def _by_magic(home: Home) -> Kernel:
    kernel = home.kernel()
    kernel.run("%codesave off")
    return kernel


LEVELS = (
    _by_environment,
    _by_setting_in_the_environment,
    _by_not_being_automatic,
    _by_project_file,
    _by_user_setting,
    _by_config_file,
    _by_an_administrator,
    _by_the_settings_of_a_run,
    _by_notebook_metadata,
    _by_magic,
)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.__name__[4:])
def test_a_canary_run_under_a_level_is_nowhere(level: Callable[[Home], Kernel], home: Home) -> None:
    kernel = level(home)
    kernel.run(CELL)
    kernel.run(LATER)
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)


SKIPPED_CELLS = {
    "by its first line": ("%%codesave skip\n" + CELL, {}),
    "after blank lines": ("\n\n  %%codesave skip\n" + CELL, {}),
    "with a prompt before it": (">>> %%codesave skip\n" + CELL.replace("\n", "\n>>> "), {}),
    "below other magics": ("%%time\n\n%%capture --no-stderr\n%%codesave skip\n" + CELL, {}),
    "by its tag": (CELL, {"tags": ["codesave-skip"]}),
    "by its tag within the cell's metadata": (CELL, {"cell": {"tags": ["codesave-skip"]}}),
    "by its own metadata": (CELL, {"codesave": {"capture": "off"}}),
}


@pytest.mark.parametrize("how", sorted(SKIPPED_CELLS))
def test_a_skipped_cell_is_nowhere_and_its_neighbours_are_kept(how: str, home: Home) -> None:
    source, metadata = SKIPPED_CELLS[how]
    kernel = home.kernel()
    kernel.run("'before'")
    kernel.run(source, metadata={**metadata, "cellId": "the-cell"})
    kernel.run(LATER)
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)
    path = the_journal(home.data)
    assert [cell["source"] for cell in cells(path)] == ["'before'", LATER]
    (skip,) = all_events(path, "skip")
    assert skip["cell_id"] == "the-cell"


def test_a_skipped_cell_runs_as_the_cell_it_is(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("%%codesave skip\n%%bash\necho $((6 * 7)) > answer")
    kernel.run("%%codesave skip\nimport asyncio; await asyncio.sleep(0); x = 5")
    kernel.run("%%codesave skip\nx")
    kernel.run("assert x == 5 and open('answer').read() == '42\\n'; 'checked'")
    assert cells(the_journal(home.data))[-1]["metadata"]["codesave"]["status"] == "ok"


@pytest.mark.parametrize("then", ["", "; import jupyter_codesave; jupyter_codesave.init()"])
def test_a_recorded_cell_that_runs_a_skipped_one_is_forgotten(home: Home, then: str) -> None:
    ran = f"%%codesave skip\nprint('cana' 'ry-7f3a9c'){then}"
    kernel = home.kernel()
    kernel.run("'before'")
    kernel.run(f"print('earlier'); get_ipython().run_cell({ran!r}); 'cana' 'ry-7f3a9c' # {CANARY}!")
    kernel.run("'after'")
    assert [cell["source"] for cell in cells(the_journal(home.data))] == ["'before'", "'after'"]
    home.json("runs")
    assert not is_anywhere(home.data, CANARY)
    kernel.stop()
    home.json("runs")
    assert not is_anywhere(home.data, CANARY)


def test_sources_keeps_sources_and_no_output(home: Home) -> None:
    kernel = home.kernel(CODESAVE_CAPTURE="sources")
    source = "print('cana' 'ry-7f3a9c'); 'cana' 'ry-7f3a9c'"
    kernel.run(source)
    kernel.run("raise ValueError('cana' 'ry-7f3a9c')")
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)
    found = cells(the_journal(home.data))
    assert found[0]["source"] == source
    assert [cell["outputs"] for cell in found] == [[], []]


def test_what_is_switched_off_in_mid_session_holds_from_the_next_cell_on(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("'seen'")
    (home.data / "control.json").write_text(json.dumps({"user": {"capture": "off"}}))
    kernel.run(CELL)
    kernel.run(LATER)
    (home.data / "control.json").write_text(json.dumps({}))
    kernel.run("'seen again'")
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)
    path = the_journal(home.data)
    assert [cell["source"] for cell in cells(path)] == ["'seen'", "'seen again'"]
    states = [(e["capture"], e["decided_by"]) for e in all_events(path, "capture")]
    assert states == [("all", "default"), ("off", "user settings"), ("all", "default")]


def test_off_in_a_cell_mutes_the_rest_of_that_cell(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("get_ipython().run_line_magic('codesave', 'off'); print('cana' 'ry-7f3a9c')")
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)


def test_on_undoes_only_the_magic_and_names_the_level_that_still_says_off(home: Home) -> None:
    kernel = home.kernel(CODESAVE="off")
    printed: list[str] = []
    kernel.client.execute_interactive(
        "%codesave on",
        timeout=60,
        output_hook=lambda m: printed.append(m["content"].get("text", "")),
    )
    assert "the environment (CODESAVE)" in "".join(printed)
    kernel.run("'still off'")
    assert journal_paths(home.data) == []


def test_forget_is_told_to_the_journal(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("1", metadata={"cellId": "a"})
    key = kernel.run("2", metadata={"cellId": "b"})
    kernel.run("%codesave status")  # who looks at it does not mean that
    kernel.run("%codesave forget")
    kernel.run("%codesave forget a")
    path = the_journal(home.data)
    forgotten = [event["key"] for event in all_events(path, "forget")]
    assert forgotten[0] == key
    assert len(forgotten) == 2
    left = ["%codesave status", "%codesave forget", "%codesave forget a"]
    assert [cell["source"] for cell in cells(path)] == left


def test_what_a_forgotten_cell_printed_is_nowhere_while_its_kernel_lives(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(f"print('{CANARY}'); print('{CANARY}' * 10_000)", metadata={"cellId": "secret"})
    kernel.run("print('kept')")
    kernel.run("%codesave forget secret")
    kernel.run("print('later')")
    home.json("runs")
    assert not is_anywhere(home.data, CANARY)
    assert [text_of(o) for o in outputs(the_journal(home.data))][::2] == ["kept\n", "later\n"]


def test_a_cell_that_is_forgotten_before_it_was_ingested_leaves_no_copy_behind(home: Home) -> None:
    subprocess.run(["git", "init", "-q"], cwd=home.work, check=True)
    secret = f"print('{CANARY}')"
    cell = {"cell_type": "code", "source": secret, "metadata": {}, "outputs": []}
    (home.work / "held.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}}))
    (home.work / "own.py").write_text("x = 1\n")
    kernel = home.kernel("held.ipynb")
    kernel.run("%codesave log_code .")
    home.json("runs")  # its first version is made, with a copy of the notebook file
    kernel.run(secret)
    kernel.run("%codesave forget")
    kernel.stop()
    (artifact,) = home.json("artifacts", "--json")
    assert len(artifact["versions"]) == 2
    for version in artifact["versions"]:
        copy = home.command("cat", f"{artifact['name']}:{version['version']}", "held.ipynb")
        assert '"cells"' in copy.stdout
        assert CANARY not in copy.stdout
        patch = home.command("cat", f"{artifact['name']}:{version['version']}", "diff.patch")
        assert "x = 1" in patch.stdout
    assert not is_anywhere(home.data, CANARY)


def test_a_forgotten_cell_leaves_no_widget_behind(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import ipywidgets as w; from IPython.display import display")
    kernel.run("kept, out = w.Text('fine'), w.Output(); display(kept, out)")
    kernel.run(
        f"kept.value = '{CANARY}'; gone = w.Text('{CANARY}'); display(gone)\n"
        f"with out: print('{CANARY}')",
        metadata={"cellId": "secret"},
    )
    kernel.run("%codesave forget secret")
    (run,) = fold(the_journal(home.data)).runs
    notebook = fold(the_journal(home.data)).notebook(run)
    assert CANARY not in json.dumps(notebook)
    assert "TextModel" in json.dumps(notebook["metadata"]["widgets"])
    kernel.stop()
    home.json("runs")
    assert not is_anywhere(home.data, CANARY)


@pytest.mark.parametrize(
    "metadata", [{"tags": ["codesave-skip"]}, {"codesave": {"capture": "off"}}], ids=str
)
def test_a_cell_that_its_file_says_to_skip_is_nowhere_though_no_tag_is_sent(
    home: Home, metadata: dict[str, Any]
) -> None:
    cell = {"cell_type": "code", "id": "a", "source": CELL.splitlines(True), "outputs": []}
    notebook = {"cells": [{**cell, "metadata": metadata}, {**cell, "source": 3}], "metadata": {}}
    (home.work / "code.ipynb").write_text(json.dumps(notebook))
    kernel = home.kernel()
    kernel.run(f"__vsc_ipynb_file__ = {str(home.work / 'code.ipynb')!r}", silent=True)
    kernel.run(CELL)
    kernel.run(LATER)
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)
    assert [found["source"] for found in cells(the_journal(home.data))] == [LATER]


def _settled_by_home(home: Home) -> Path:
    """Give the data folder when nothing but HOME says where anything is."""
    for name in [name for name in home.environment if name.startswith(("CODESAVE", "JUPYTER"))]:
        del home.environment[name]
    return Path(home.json("status")["dir"])


AWAY = {
    "CODESAVE_DIR": "import os; os.environ['CODESAVE_DIR'] = os.getcwd()",
    "HOME": "import os; os.environ['HOME'] = os.getcwd()",
    "the working folder": "import os; os.mkdir('elsewhere'); os.chdir('elsewhere')",
}


@pytest.mark.parametrize("what", AWAY)
def test_off_is_heard_by_a_kernel_whose_cells_changed_what_tells_where_it_is_said(
    what: str, home: Home
) -> None:
    data = home.data
    if what == "HOME":
        data = _settled_by_home(home)
    elif what == "the working folder":
        home.environment["CODESAVE_DIR"], data = "kept", home.work / "kept"
    kernel = home.kernel()
    kernel.run(AWAY[what])
    home.command("off")
    kernel.run(f"'{CANARY}'")
    kernel.stop()
    assert not is_anywhere(data, CANARY)
    assert [cell["source"] for cell in cells(the_journal(data))] == [AWAY[what]]


@pytest.mark.parametrize("said", ["by `jupyter codesave off`", "in a config file"])
def test_off_stays_off_when_a_cell_changes_home_and_its_notebook_is_saved(
    said: str, home: Home
) -> None:
    data = _settled_by_home(home)
    if said == "in a config file":
        folder = Path(home.environment["HOME"]) / ".jupyter"
        folder.mkdir(parents=True)
        config = {"CodeSave": {"capture": "off"}}
        (folder / "jupyter_codesave_config.json").write_text(json.dumps(config))
    else:
        home.command("off")
    notebook = home.work / "code.ipynb"
    notebook.write_text(json.dumps({"cells": [], "metadata": {}}))
    kernel = home.kernel(notebook.name)
    kernel.run(AWAY["HOME"])
    notebook.write_text(json.dumps({"cells": [], "metadata": {"saved": True}}))
    kernel.run(f"'{CANARY}'")
    kernel.stop()
    assert not is_anywhere(data, CANARY)
    assert journal_paths(data) == []


OUT_OF_DESCRIPTORS = """
%codesave status
from jupyter_codesave.capture.recorder import current
current().background.drain(60)  # it gives back what it has open
import os, resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (16, most))  # these are the kernel's, and stay open
held = []
try:
    while True: held.append(os.open(os.devnull, os.O_RDONLY))
except OSError: pass
"""


@pytest.mark.parametrize("where", ["user settings", "the notebook"])
def test_off_that_cannot_be_read_is_off_and_is_asked_for_again(where: str, home: Home) -> None:
    notebook = home.work / "code.ipynb"
    notebook.write_text(json.dumps({"cells": [], "metadata": {}}))
    kernel = home.kernel(notebook.name)
    kernel.run(OUT_OF_DESCRIPTORS)
    if where == "user settings":
        home.command("off")
    else:
        off = {"codesave": {"capture": "off"}}
        notebook.write_text(json.dumps({"cells": [], "metadata": off}))
    kernel.run(f"'{CANARY}'")
    told: list[str] = []
    kernel.client.execute_interactive(
        "%codesave", timeout=60, output_hook=lambda m: told.append(m["content"].get("text", ""))
    )
    way = "which may say off until it can be read (Too many open files); have it readable to record"
    assert way in "".join(told)
    kernel.run("resource.setrlimit(resource.RLIMIT_NOFILE, (200, most))")
    kernel.run(f"'{CANARY}'")
    home.command("on")
    notebook.write_text(json.dumps({"cells": [], "metadata": {}}))
    kernel.run("'on'")
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)
    kept = [cell["source"] for cell in cells(the_journal(home.data))]
    assert kept == [OUT_OF_DESCRIPTORS, "'on'"]


def test_a_notebook_file_that_cannot_be_read_may_say_off_and_does(home: Home) -> None:
    notebook = home.work / "code.ipynb"
    notebook.symlink_to(notebook)  # as root may read anything else
    kernel = home.kernel(notebook.name)
    kernel.run(f"'{CANARY}'")
    notebook.unlink()
    kernel.run("'there is none'")
    kernel.stop()
    assert not is_anywhere(home.data, CANARY)
    assert [cell["source"] for cell in cells(the_journal(home.data))] == ["'there is none'"]
