"""Plain scripts: the program, what it prints, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_codesave.capture.watcher import _Announcer, _Watcher, born
from jupyter_codesave.ingest import Ingest
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.settings import resolve
from jupyter_codesave.store import Store
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
from tests.conftest import isolated, wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program: `run("train.py", "source", "argument", NAME="value")`."""
    (tmp_path / "work").mkdir()

    def run_program(
        name: str, source: str, *arguments: str, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "work" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(source, "utf-8")
        return subprocess.run(
            [sys.executable, str(program), *arguments],
            env={**isolated(tmp_path), **more},
            cwd=cwd or tmp_path / "work",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_program


def spooled(data: Path, digest: str) -> bytes:
    name = digest.removeprefix("sha256:")
    return (data / "spool" / name[:2] / name[2:]).read_bytes()


def code_of(data: Path) -> dict[str, bytes]:
    """Give the program and modules that the journal names."""
    found = {}
    for event in all_events(the_journal(data), "code"):
        for entry in event["files"]:
            found[entry["path"]] = spooled(data, entry["digest"])
    return found


def test_a_script_that_does_not_ask_is_not_recorded(run: Run, data: Path) -> None:
    done = run("train.py", "import jupyter_codesave\nprint(jupyter_codesave.run)")
    assert done.stdout == "None\n"
    assert not data.exists()


def test_saving_begins_a_run_where_there_is_none(run: Run, data: Path) -> None:
    source = "import jupyter_codesave as c\nprint(len(c.save('train.py')))\nprint(c.run.state)"
    assert run("train.py", source).stdout == "1\nrunning\n"
    path = the_journal(data)
    (cell,) = cells(path)
    assert cell["source"] == source
    (folded,) = fold(path).runs.values()
    assert folded.end is not None
    assert folded.end["ended_by"] == "exit"
    assert folded.watched.keys() == {"train.py"}


def test_a_program_written_for_wandb_runs_as_it_is(run: Run, data: Path) -> None:
    source = (
        "import jupyter_codesave as wandb\n"
        "assert wandb.login() is True\n"
        "wandb.init(save_code=False); wandb.watch(object()); wandb.log({'loss': 1})\n"
        "print('trained'); wandb.finish()\n"
    )
    done = run("train.py", source)
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("Warning") == 2  # of watch and of log
    assert code_of(data) == {}


def test_program_output_config_and_arguments_are_kept(run: Run, data: Path) -> None:
    source = (
        "import sys, jupyter_codesave as codesave\n"
        "run = codesave.init(project='mnist', name='first', config={'lr': 0.1}, notes='n',\n"
        "                    tags=['a'])\n"
        "print('training'); print('careful', file=sys.stderr)\n"
        "run.config.epochs = 3; run.config['lr'] = 0.2\n"
        "assert codesave.run is run and codesave.config.lr == 0.2\n"
        "run.finish()\n"
        "assert run.state == 'finished' and codesave.run is None\n"
        "print('after')\n"
    )
    done = run("train.py", source, "--lr", "0.1", "--api-key=CANARY", "--token", "CANARY")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "training\nafter\n"
    assert done.stderr == "careful\n"
    path = the_journal(data)
    (folded,) = fold(path).runs.values()
    assert folded.fields["project"] == "mnist"
    assert folded.fields["name"] == "first"
    assert folded.fields["config"] == {"lr": 0.2, "epochs": 3}
    assert folded.fields["argv"][1:] == ["--lr", "0.1", "--api-key=****", "--token", "****"]
    (cell,) = cells(path)
    assert cell["source"] == source
    assert text_of(cell["outputs"]) == "training\n"
    assert text_of(cell["outputs"], "stderr") == "careful\n"
    assert code_of(data) == {"train.py": source.encode()}
    assert folded.environment["packages"]["pytest"]
    assert not is_anywhere(data, "CANARY")


def test_an_exception_is_a_crash_with_its_traceback(run: Run, data: Path) -> None:
    done = run(
        "train.py",
        "import jupyter_codesave as codesave\ncodesave.init()\nprint('x')\nraise OSError('gone')",
    )
    assert done.returncode == 1
    assert done.stderr.count("OSError: gone") == 1
    path = the_journal(data)
    (end,) = all_events(path, "run-end")
    assert (end["ended_by"], end["exit_code"]) == ("error", 1)
    assert "OSError: gone" in end["error"]
    (cell,) = cells(path)
    assert [o["output_type"] for o in cell["outputs"]] == ["stream", "error"]
    assert cell["metadata"]["codesave"]["status"] == "error"


def test_the_exit_code_is_kept(run: Run, data: Path) -> None:
    run("t.py", "import sys, jupyter_codesave as c\nc.init()\nsys.exit(3)")
    (end,) = all_events(the_journal(data), "run-end")
    assert end["exit_code"] == 3


def test_a_with_block_that_fails_is_a_crashed_run_of_a_program_that_goes_on(
    run: Run, data: Path
) -> None:
    done = run(
        "t.py",
        "import jupyter_codesave as c\n"
        "try:\n"
        "    with c.init() as run:\n"
        "        raise KeyError('k')\n"
        "except KeyError:\n"
        "    print(run.state)\n"
        "with c.init() as second: pass\n"
        "print(second.state)\n",
    )
    assert done.stdout.split() == ["crashed", "finished"]
    first, second = all_events(the_journal(data), "run-end")
    assert "KeyError: 'k'" in first["error"]
    assert (first["ended_by"], second["ended_by"]) == ("error", "finish")


def test_a_second_init_finishes_the_first(run: Run, data: Path) -> None:
    done = run(
        "t.py",
        "import jupyter_codesave as c\n"
        "a = c.init(); print('one'); b = c.init(); print('two')\n"
        "print(a.state, b.state)\n",
    )
    assert done.stdout.splitlines()[-1] == "finished running"
    first, second = cells(the_journal(data))
    assert text_of(first["outputs"]) == "one\n"
    assert text_of(second["outputs"]) == "two\nfinished running\n"


def test_a_script_ended_by_a_signal_says_no_word_and_its_prints_are_there(
    tmp_path: Path, data: Path
) -> None:
    code = (
        "import time, jupyter_codesave as c\nc.init()\nprint('alive', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=isolated(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"alive\n"
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    process.stdout.close()
    path = the_journal(data)
    assert all_events(path, "session-end") == []
    (cell,) = cells(path, dead=True)
    assert text_of(cell["outputs"]) == "alive\n"


def test_a_module_run_with_m_and_its_package_are_kept(tmp_path: Path, data: Path) -> None:
    package = tmp_path / "work" / "pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("value = 1\n")
    (package / "mod.py").write_text(
        "import jupyter_codesave as c\nfrom . import helper\nc.init()\nprint(helper.value)\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pkg.mod"],
        env=isolated(tmp_path),
        cwd=tmp_path / "work",
        check=True,
        timeout=60,
    )
    assert sorted(code_of(data)) == ["pkg/__init__.py", "pkg/helper.py", "pkg/mod.py"]


def test_a_program_outside_of_the_working_directory_is_kept(
    run: Run, data: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "unrelated.py").write_text("")
    run("t.py", "import jupyter_codesave as c; c.init()", cwd=elsewhere)
    assert sorted(code_of(data)) == ["t.py"]


def test_own_modules_are_kept_and_installed_ones_are_not(run: Run, data: Path) -> None:
    run(
        "src/t.py",
        "import json, sys, traitlets\n"
        "open('src/own.py', 'w').write('a = 1')\n"
        "import own\n"
        "import jupyter_codesave as c; c.init()\n"
        "open('src/later.py', 'w').write('b = 1')\n"
        "import later\n",
    )
    assert sorted(code_of(data)) == ["src/later.py", "src/own.py", "src/t.py"]


def test_workers_and_other_ranks_make_no_run(run: Run, data: Path) -> None:
    source = "import jupyter_codesave as c\nrun = c.init()\nprint(run.state, run.reason)\n"
    done = run("t.py", source, RANK="1", WORLD_SIZE="2")
    assert done.stdout == "off RANK is 1; rank 0 has the run\n"
    assert not data.exists()
    assert run("t.py", source, RANK="0").stdout.startswith("running")
    the_journal(data)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_make_no_run(method: str, run: Run, data: Path) -> None:
    done = run(
        "t.py",
        "import multiprocessing as mp, jupyter_codesave as c\n"
        "def work(n):\n"
        "    print('child', c.init().state)\n"
        "if __name__ == '__main__':\n"
        "    run = c.init()\n"
        f"    p = mp.get_context('{method}').Process(target=work, args=(1,))\n"
        "    p.start(); p.join()\n"
        "    print('parent', run.state)\n",
    )
    assert sorted(done.stdout.splitlines()) == ["child off", "parent running"]
    assert len(journal_paths(data)) == 1
    assert len(fold(the_journal(data)).runs) == 1


def test_a_forked_child_that_exits_normally_does_not_end_the_run(run: Run, data: Path) -> None:
    run(
        "t.py",
        "import os, sys, jupyter_codesave as c\n"
        "run = c.init()\n"
        "if os.fork() == 0:\n"
        "    print('in the child'); sys.exit(5)\n"
        "os.wait()\n"
        "print('in the parent')\n",
    )
    (end,) = all_events(the_journal(data), "run-end")
    assert end["exit_code"] == 0
    assert "in the parent" in text_of(cells(the_journal(data))[0]["outputs"])


def test_off_by_the_environment_wins_over_an_explicit_init(run: Run, data: Path) -> None:
    done = run(
        "t.py",
        "import warnings; warnings.simplefilter('ignore')\n"
        "import jupyter_codesave as c\n"
        "run = c.init(settings=c.Settings(capture='all')); print('CANARY')\n"
        "print(run.state, run.save('t.py'), run.log_code('.'))\n",
        CODESAVE="off",
    )
    assert done.stdout.splitlines()[1] == "off [] None"
    assert not data.exists() or not is_anywhere(data, "CANARY")


def test_sources_only_keeps_the_program_and_not_what_it_prints(run: Run, data: Path) -> None:
    run(
        "t.py",
        "import jupyter_codesave as c\n"
        "c.init(settings=c.Settings(capture='sources'))\nprint('CAN' 'ARY' * 1)\n",
    )
    assert not is_anywhere(data, "CANARY")
    assert "init" in cells(the_journal(data))[0]["source"]


def test_a_bad_setting_is_told_with_its_name_and_place(run: Run) -> None:
    done = run("t.py", "import jupyter_codesave as c; c.init(settings={'capture': 'most'})")
    assert "capture" in done.stderr
    assert "most" in done.stderr
    done = run("t.py", "import jupyter_codesave as c; c.init()", CODESAVE_DURABILITY="forever")
    assert "durability" in done.stderr
    assert "the environment" in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("project=5", "project must be a string, not int"),
        ("name=['n']", "name must be a string, not list"),
        ("tags=['a', 1]", "tags must be strings, not int"),
        ("config=[1]", "config must be a mapping"),
    ],
)
def test_an_argument_of_another_type_is_told_before_a_run_begins(
    run: Run, data: Path, given: str, told: str
) -> None:
    done = run("train.py", f"import jupyter_codesave as codesave\ncodesave.init({given})")
    assert told in done.stderr.splitlines()[-1]
    assert "TypeError" in done.stderr
    assert not any(all_events(path, "run") for path in journal_paths(data))


def test_each_way_to_change_the_config_is_kept(run: Run, data: Path) -> None:
    source = """
import jupyter_codesave as codesave
run = codesave.init(config={"a": 1, "b": 2, "c": 3}, tags="one")
run.config.pop("a")
run.config |= {"d": 4}
run.config.setdefault("e", 5)
del run.config["b"]
run.config.f = 6
codesave.config.update(g=7)
run.finish()
"""
    assert run("train.py", source).stderr == ""
    folded = next(iter(fold(the_journal(data)).runs.values()))
    assert folded.fields["config"] == {"c": 3, "d": 4, "e": 5, "f": 6, "g": 7}
    assert folded.fields["tags"] == ["one"]


NOT_RECORDED = {
    "off": {"CODESAVE": "off"},
    "another rank": {"RANK": "1"},
    "nowhere to write": {"CODESAVE_DIR": "/proc/nowhere"},
}


@pytest.mark.parametrize("more", NOT_RECORDED.values(), ids=NOT_RECORDED)
def test_a_program_goes_on_the_same_where_nothing_is_recorded(
    run: Run, more: dict[str, str]
) -> None:
    source = """
import warnings
warnings.simplefilter("ignore")
import jupyter_codesave as wandb
run = wandb.init(config={"epochs": 3}, name="mine")
wandb.config.update({"more": 1})
wandb.config.lr = 0.1
print(wandb.config.epochs, wandb.config.more, run.config.lr, wandb.run.name, wandb.run is run)
print(wandb.save("t.py"), wandb.log_code("."))
wandb.finish()
print(wandb.run)
"""
    done = run("t.py", source, **more)
    assert (done.stdout, done.returncode) == ("3 1 0.1 mine True\n[] None\nNone\n", 0)


ODD_CONFIGS = {
    "{(1, 2): 3}": {"(1, 2)": 3},
    "{'deep': {b'k': 1}}": {"deep": {"b'k'": 1}},
    "cycle": {"self": {"self": "…"}},
    "{'o': Unprintable()}": {"o": "<Unprintable>"},
    "{'lr': float('nan'), 'top': float('inf')}": {"lr": "nan", "top": "inf"},
    "{'n': numpy.int64(3), 'f': numpy.float32(0.5)}": {"n": 3, "f": 0.5},
    "{'p': __import__('pathlib').Path('a/b'), 's': {1}}": {"p": "a/b", "s": "{1}"},
}


@pytest.mark.parametrize("config", ODD_CONFIGS)
def test_any_config_is_kept_as_json_holds_it(run: Run, data: Path, config: str) -> None:
    source = f"""
import json, numpy, jupyter_codesave as c
class Unprintable:
    def __repr__(self): raise RuntimeError("no")
cycle = {{}}
cycle["self"] = cycle
run = c.init(config={config})
run.config["later"] = (1, 2)
run.finish()
"""
    done = run("t.py", source)
    assert (done.stderr, done.returncode) == ("", 0)
    folded = next(iter(fold(the_journal(data)).runs.values()))
    assert folded.fields["config"] == {**ODD_CONFIGS[config], "later": [1, 2]}


def test_the_program_that_runs_is_kept_not_the_one_it_is_edited_to(run: Run, data: Path) -> None:
    source = """
import time, jupyter_codesave as c
open("own.py", "w").write("a = 1")
import own
first = c.init()
open(__file__, "a").write("# edited")
first._recorder.background.drain(30)
open("own.py", "w").write("a = 2")
c.init().finish()
"""
    run("t.py", source)
    events = all_events(the_journal(data), "code")
    texts = {spooled(data, entry["digest"]) for event in events for entry in event["files"]}
    assert source.encode() in texts
    assert source.encode() + b"# edited" not in texts
    assert b"a = 1" in texts
    assert b"a = 2" not in texts


ENDS = {  # how a program ends: exit code, state
    "sys.exit(3)": (3, "crashed"),
    "exit(3)": (3, "crashed"),
    "sys.exit('no')": (1, "crashed"),
    "sys.exit()": (0, "finished"),
    "try: sys.exit(1)\nexcept SystemExit: pass": (0, "finished"),
    "t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join()": (0, "finished"),
    "sys.excepthook = lambda *a: print('mine', file=sys.stderr)\n1 / 0": (1, "crashed"),
    "try: 1 / 0\nexcept ZeroDivisionError: pass": (0, "finished"),
}


@pytest.mark.parametrize("end", ENDS)
def test_how_a_program_ends_is_what_is_kept(run: Run, data: Path, end: str) -> None:
    code, state = ENDS[end]
    done = run("t.py", f"import sys, threading, jupyter_codesave as c\nc.init()\n{end}\n")
    assert done.returncode == code
    folded = next(iter(fold(the_journal(data)).runs.values()))
    assert folded.end is not None
    assert bool(folded.end["exit_code"]) is (state == "crashed")
    assert ("ZeroDivisionError" in (folded.end.get("error") or "")) is ("mine" in end)


@pytest.mark.parametrize("at", ["at once", "later"])
def test_an_interrupted_program_ends_by_its_signal(run: Run, data: Path, at: str) -> None:
    wait = "time.sleep(1.5)" if at == "later" else "pass"
    source = (
        "import os, signal, time, jupyter_codesave as c\nc.init()\n"
        f"{wait}\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)\n"
    )
    assert run("t.py", source).returncode == -signal.SIGINT
    (end,) = all_events(the_journal(data), "run-end")
    assert "KeyboardInterrupt" in end["error"]


def test_a_forked_child_leaves_the_run_to_its_parent(run: Run, data: Path) -> None:
    source = """
import os, sys, threading, warnings
import jupyter_codesave as c
warnings.simplefilter("ignore")
class Nowhere:  # Python itself hangs when another thread writes to a file at the fork
    def write(self, text): return len(text)
    def flush(self): pass
sys.stdout = Nowhere()
run = c.init()
noise = lambda: [sys.stdout.write("x" * 2000 + "\\n") for _ in range(3000)]
threading.Thread(target=noise, daemon=True).start()
for way in range(20):
    if (child := os.fork()) == 0:
        if way == 0:
            saved = run.save("t.py"), run.save("t.py", policy="now"), run.log_code(".")
            os._exit(0 if saved == ([], [], None) else 9)
        if way == 1:
            run.finish()
            os._exit(0)
        raise ValueError("in the child")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (way > 1), way
"""
    done = run("t.py", source)
    assert done.returncode == 0, done.stderr
    (end,) = all_events(the_journal(data), "run-end")
    assert (end["ended_by"], end["exit_code"]) == ("exit", 0)


@pytest.mark.parametrize(
    ("call", "more"),
    [
        ("c.init(mode='disabled')", {}),
        ("c.init()", {"WANDB_MODE": "disabled"}),
        ("c.init(mode='disabled', settings=c.Settings(code_dir='.'))", {}),
    ],
)
def test_the_mode_disabled_keeps_nothing(
    run: Run, data: Path, call: str, more: dict[str, str]
) -> None:
    source = f"import jupyter_codesave as c\nprint({call}.state)\nprint('HID' + 'DEN')"
    done = run("t.py", source, **more)
    assert (done.stdout, done.stderr) == ("off\nHIDDEN\n", "")
    assert not data.exists() or is_anywhere(data, "HIDDEN") == []
    assert not any(all_events(path, "run") for path in journal_paths(data))


def test_a_disabled_run_is_silent_and_the_next_one_is_not(run: Run) -> None:
    source = """
import jupyter_codesave as c
first = c.init(mode="disabled", entity="me")
for each in (c, first):
    each.log({"loss": 1})
    print(each.save("*.py"), each.save("s3://bucket"), each.log_code("."))
c.watch(None)
second = c.init(mode="online", entity="me")
c.log({"loss": 1})
c.finish()
print(c.run)
"""
    done = run("t.py", source)
    assert done.stdout == "[] [] None\n[] [] None\nNone\n"
    unknown, log = (line for line in done.stderr.splitlines() if "Warning" in line)
    assert "entity" in unknown
    assert "log() does nothing" in log


def test_a_name_notes_and_tags_given_later_are_kept(run: Run, data: Path) -> None:
    source = """
import jupyter_codesave as c
run = c.init(name="first", tags=["a"])
run.name, run.notes, run.tags = "second", "noted", ("b", "c")
run.config.setdefaults({"x": 1})
print(run.name, run.config.as_dict())
"""
    assert run("t.py", source).stdout == "second {'x': 1}\n"
    fields = next(iter(fold(the_journal(data)).runs.values())).fields
    found = {name: fields[name] for name in ("name", "notes", "tags", "config")}
    assert found == {"name": "second", "notes": "noted", "tags": ["b", "c"], "config": {"x": 1}}


def test_off_in_a_second_init_ends_the_first_run(run: Run, data: Path) -> None:
    source = """
import jupyter_codesave as c
c.init(name="first")
print("before")
second = c.init(settings=c.Settings(capture="off"))
print("HID" + "DEN", second.state, c.run is second)
second.finish()
third = c.init(name="third")
print("after", third.state)
"""
    assert run("t.py", source).stdout == "before\nHIDDEN off True\nafter running\n"
    assert is_anywhere(data / "journal", "HIDDEN") == []
    names = [event["name"] for event in all_events(the_journal(data), "run")]
    assert names == ["first", "third"]


def test_a_bad_setting_of_one_run_does_not_stop_the_next(run: Run, data: Path) -> None:
    source = """
import jupyter_codesave as c
try: c.init(settings={"capture": "some"})
except c.errors.SettingsError as error: print(error)
print(c.init().state)
"""
    told, state = run("t.py", source).stdout.splitlines()
    assert "capture" in told
    assert state == "running"


def test_sources_only_leaves_out_what_an_exception_says(run: Run, data: Path) -> None:
    source = "import jupyter_codesave as c\nc.init()\nraise ValueError('HID' + 'DEN')"
    run("t.py", source, CODESAVE="sources")
    (end,) = all_events(the_journal(data), "run-end")
    assert end["error"].startswith("ValueError (sources only")
    assert is_anywhere(data, "HIDDEN") == []


def test_why_a_program_is_not_kept_is_said(run: Run, data: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import jupyter_codesave as c; c.init()"],
        env=isolated(tmp_path),
        check=True,
        timeout=60,
    )
    (missing,) = all_events(the_journal(data), "file-missing")
    assert (missing["path"], "-c" in missing["reason"]) == ("the program", True)
    shown = subprocess.run(
        [sys.executable, "-m", "jupyter_codesave", "show", "@1"],
        env=isolated(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "not saved: the program (it has no file" in shown.stdout


def test_a_program_run_by_the_standard_library_is_kept(tmp_path: Path, data: Path) -> None:
    (tmp_path / "mk.py").write_text("import jupyter_codesave as c; c.init()")
    subprocess.run(
        [sys.executable, "-m", "cProfile", "-o", os.devnull, "mk.py"],
        env=isolated(tmp_path),
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    assert sorted(code_of(data)) == ["mk.py"]


def test_the_scheduler_and_the_host_are_kept(run: Run, data: Path) -> None:
    run("t.py", "import jupyter_codesave as c; c.init()", SLURM_JOB_ID="4711", SLURM_PROCID="0")
    (session,) = all_events(the_journal(data), "session")
    assert session["scheduler_job"] == "4711"
    assert session["host"]
    assert session["pid"] > 0
    assert session["kind"] == "script"


BEFORE_AND_AFTER: dict[str, str] = {
    "training": """
import argparse
import {module} as wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args([])
run = wandb.init(project="demo", entity="me", config=args, job_type="train", reinit=True)
for step in range(3):
    wandb.log({{"loss": 1 / (step + 1)}}, step=step)
with open("model.txt", "w") as file:
    file.write("weights")
wandb.save("model.txt")
wandb.config.update({{"epochs": 3}}, allow_val_change=True)
print(wandb.config.lr, wandb.config["epochs"])
wandb.finish()
""",
    "code": """
import {module} as wandb

with wandb.init(project="demo", settings=wandb.Settings(code_dir=".")) as run:
    run.log_code(".", include_fn=lambda path: path.endswith(".py"))
    print(run.id, run.name, run.project, run.dir)
""",
    "sweep": """
import {module} as wandb

for seed in range(3):
    run = wandb.init(project="demo", name=f"seed-{{seed}}", config={{"seed": seed}}, tags=["s"])
    run.log({{"x": seed}})
    run.finish(exit_code=0)
assert wandb.run is None
""",
}


@pytest.mark.parametrize("name", sorted(BEFORE_AND_AFTER))
def test_programs_written_for_wandb_run_with_the_import_changed(
    name: str, run: Run, data: Path
) -> None:
    done = run(f"{name}.py", BEFORE_AND_AFTER[name].format(module="jupyter_codesave"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("log() does nothing") <= 1
    runs = fold(the_journal(data)).runs.values()
    assert all(folded.end and folded.end["exit_code"] == 0 for folded in runs)
    assert len(runs) == (3 if name == "sweep" else 1)


def test_importing_and_doing_nothing_leaves_no_thread_and_no_file(run: Run, data: Path) -> None:
    done = run(
        "t.py",
        "import threading, sys, jupyter_codesave\n"
        "heavy = {'traitlets', 'sqlite3', 'numpy', 'zmq'} & set(sys.modules)\n"
        "print(threading.active_count(), heavy)\n",
    )
    assert done.stdout == "1 set()\n"
    assert not data.exists()


def live(
    tmp_path: Path, body: str, stdin: int | None = None, **more: str
) -> subprocess.Popen[bytes]:
    """Start a script that saves `state.txt` live and goes on with `body`."""
    (tmp_path / "state.txt").write_text("0")
    code = (
        "import os, time, jupyter_codesave as c\n"
        "run = c.init(); run.save('state.txt')\n"
        f"print('ready', flush=True)\n{body}\n"
    )
    program = tmp_path / "program.py"
    program.write_text(code)
    return subprocess.Popen(
        [sys.executable, str(program)],
        env={**isolated(tmp_path), **more},
        cwd=tmp_path,
        stdin=stdin,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("body", ["time.sleep(600)", "while True: pass", "sum(range(10**12))"])
def test_live_files_survive_a_kill_of_the_script(body: str, tmp_path: Path, data: Path) -> None:
    process = live(tmp_path, body)
    assert process.stdout is not None
    process.stdout.readline()
    (tmp_path / "state.txt").write_text("the last state")
    process.kill()
    process.wait()
    process.stdout.close()
    path = the_journal(data)

    def kept() -> Any:
        return [spooled(data, event["digest"]) for event in all_events(path, "file")]

    wait_until(lambda: kept()[-1:] == [b"the last state"], "the sidecar's last word")


def test_each_settled_state_of_a_live_file_is_kept(tmp_path: Path, data: Path) -> None:
    process = live(tmp_path, "time.sleep(600)")
    assert process.stdout is not None
    process.stdout.readline()
    path = the_journal(data)
    for state in ("one", "two"):
        (tmp_path / "state.txt").write_text(state)

        def kept(wanted: bytes = state.encode()) -> bool:
            digests = [event["digest"] for event in all_events(path, "file")]
            return wanted in [spooled(data, digest) for digest in digests]

        wait_until(kept, f"the state {state!r} in the journal")
    process.kill()
    process.wait()
    process.stdout.close()


def sidecars(data: Path) -> list[psutil.Process]:
    """Find the sidecars of a data folder: nobody's children, they name it on their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if str(data) in line and any("capture.watcher" in each for each in line):
                found.append(process)
    return found


@pytest.mark.parametrize("policy", ["live", "end"])
def test_a_program_that_waits_for_all_its_children_does_not_wait_for_the_sidecar(
    policy: str, run: Run, data: Path
) -> None:
    done = run(
        "t.py",
        "import os, subprocess, sys, psutil, jupyter_codesave as c\n"
        f"run = c.init(); run.save('t.py', policy='{policy}')\n"
        "print(psutil.Process().children(recursive=True))\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(3)\n"
        "while True:\n"
        "    try:\n        print(os.wait() == (child, 3 << 8))\n"
        "    except ChildProcessError:\n        break\n",
        PYTHONWARNINGS="error",
        PYTHONDEVMODE="1",
    )
    assert (done.stdout, done.stderr) == ("[]\nTrue\n", "")
    assert "t.py" in [event["path"] for event in all_events(the_journal(data), "file")]
    wait_until(lambda: not sidecars(data), "the end of the sidecar")


def test_a_process_is_told_from_a_dead_one_and_from_another_one_of_its_number() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert born(process.pid) == born(process.pid) is not None
    assert born(process.pid) != born(os.getpid())
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert born(process.pid) is None, "it waits to be reaped"
    process.communicate()
    assert born(process.pid) is None


def test_an_interrupt_of_the_whole_group_leaves_the_sidecar_its_last_word(
    tmp_path: Path, data: Path
) -> None:
    process = live(tmp_path, "os.setpgid(0, 0); print('group', flush=True); time.sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline() + process.stdout.readline() == b"ready\ngroup\n"
    (tmp_path / "state.txt").write_text("before the interrupt")
    os.killpg(process.pid, signal.SIGINT)
    process.wait(30)
    process.stdout.close()
    wait_until(lambda: not sidecars(data), "the end of the sidecar")
    last = all_events(the_journal(data), "file")[-1]
    assert spooled(data, last["digest"]) == b"before the interrupt"


def test_a_sidecar_that_was_killed_is_replaced_with_the_next_save(
    tmp_path: Path, data: Path
) -> None:
    body = "input(); run.save('other.txt'); print('again', flush=True); time.sleep(600)"
    (tmp_path / "other.txt").write_text("0")
    process = live(tmp_path, body, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    (first,) = wait_until(lambda: sidecars(data), "the first sidecar")
    first.kill()
    first.wait(30)
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.stdout.readline() == b"again\n"
    (tmp_path / "state.txt").write_text("seen by the second")
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not sidecars(data), "the end of the sidecar")
    last = {event["path"]: event["digest"] for event in all_events(the_journal(data), "file")}
    assert spooled(data, last["state.txt"]) == b"seen by the second"
    assert sorted(last) == ["other.txt", "state.txt"]


@pytest.mark.parametrize("way", ["os.fork", "multiprocessing"])
def test_a_forked_child_that_saves_is_told_that_its_parent_has_the_run(
    way: str, run: Run, data: Path
) -> None:
    source = """
import multiprocessing, os, warnings
import jupyter_codesave as codesave
run = codesave.init()
def work(*_):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for policy in ("now", "live", "end"):
            print(run.save("t.py", policy=policy))
    print({str(each.message) for each in told}, flush=True)
    run.finish()
if __name__ == "__main__":
    WATCHED
    FORK
    print(len(run.save("t.py")))
"""
    fork = {
        "os.fork": "if os.fork() == 0: work(); os._exit(0)\n    os.wait()",
        "multiprocessing": "multiprocessing.get_context('fork').Pool(1).map(work, [1])",
    }[way]
    for watched in ("", "run.save('t.py')"):
        done = run("t.py", source.replace("FORK", fork).replace("WATCHED", watched))
        assert done.stderr == ""
        told = "{'nothing is saved: this is a forked child; its parent has the run'}"
        assert done.stdout.splitlines() == ["[]", "[]", "[]", told, "1"]


def test_a_daemon_that_closes_all_descriptors_is_recorded_and_its_files_are_its_own(
    run: Run, data: Path, tmp_path: Path
) -> None:
    source = """
import os, time
import jupyter_codesave as codesave
run = codesave.init()
print("before", flush=True)
os.closerange(3, 256)
mine = [open(f"mine{n}", "w+b", buffering=0) for n in range(60)]
for file in mine: file.write(b"p" * 100_000)
print("x" * 400_000, flush=True)
print("after", flush=True)
"""
    done = run("t.py", source)
    assert done.returncode == 0, done.stderr
    assert {file.read_bytes() for file in tmp_path.rglob("mine*")} == {b"p" * 100_000}
    (printed,) = outputs(the_journal(data))
    assert text_of(printed) == "before\n" + "x" * 400_000 + "\nafter\n"


def test_warnings_point_to_the_line_that_called(run: Run) -> None:
    calls = [
        "codesave.init(group='g')",
        "codesave.log({'loss': 1})",
        "codesave.save('later/*.csv')",
        "codesave.run.save('gs://bucket/x')",
        "codesave.run.save('broken')",
        "codesave.log_code('nowhere')",
        "codesave.Settings(entity='me')",
    ]
    done = run(
        "t.py",
        "import os; os.symlink('gone', 'broken')\nimport jupyter_codesave as codesave\n\n"
        + "\n".join(calls),
    )
    told = [line for line in done.stderr.splitlines() if "UserWarning" in line]
    places = [os.path.basename(line.partition(" UserWarning: ")[0]) for line in told]
    assert places == [f"t.py:{number}:" for number in range(4, 4 + len(calls))]
    assert "'later/*.csv' is not there yet; call save() again when it is" in told[2]


def test_without_a_descriptor_for_the_sidecar_the_file_is_taken_after_the_end(
    run: Run, data: Path
) -> None:
    done = run(
        "t.py",
        "import os, resource, jupyter_codesave as c\n"
        "run = c.init(); run.save('t.py', policy='now')\n"
        "open('model', 'w').write('m')\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "free = os.dup(0); os.close(free)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))\n"
        "print(len(run.save('model')), flush=True)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n"
        "os._exit(1)\n",
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    with Store.open(data, resolve(environ={}, cwd=data)) as store:
        Ingest(store).all()
        files = store.files(store.nth_run(1).id).entries
        assert store.get(files["model"].digest) == b"m"


def test_one_file_among_many_folders_is_watched_without_them(tmp_path: Path, data: Path) -> None:
    for number in range(300):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
    (tmp_path / "saved" / "below").mkdir(parents=True)
    process = live(tmp_path, "run.save('saved'); time.sleep(600)")
    assert process.stdout is not None
    process.stdout.readline()

    def watches() -> int:
        (sidecar,) = wait_until(lambda: sidecars(data), "the sidecar")
        found = 0
        for path in Path(f"/proc/{sidecar.pid}/fdinfo").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found += path.read_text().count("inotify wd:")
        return found

    wait_until(lambda: watches() >= 3, "the folder of state.txt, saved and below in inotify")
    assert watches() == 3
    process.kill()
    process.wait()
    process.stdout.close()


def test_where_the_system_watches_no_more_a_look_finds_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def refuse(*_: Any, **__: Any) -> None:
        failed.set()
        raise OSError("OS file watch limit reached. about [...]")

    monkeypatch.setattr("watchfiles.watch", refuse)
    watcher, wake = _Watcher(tmp_path / "data"), threading.Event()
    state = tmp_path / "state.txt"
    state.write_text("0")
    os.utime(state, (1, 1))
    spec = {"run": "r", "source": str(state), "path": "state.txt", "policy": "live"}
    watcher.specs.append({**spec, "follow": False, "limit": None, "call": 1})
    _Announcer(wake, tmp_path / "data").follow(*watcher.places())
    assert failed.wait(30)
    wait_until(lambda: watcher.look() or watcher.untold, "a look at the settled state")
    assert [name for name, _ in watcher.untold] == ["file"]
    assert not wake.is_set()


def test_a_live_file_that_grows_over_the_limit_is_told_once(tmp_path: Path, data: Path) -> None:
    process = live(tmp_path, "time.sleep(600)", CODESAVE_MAX_SAVE_SIZE="10")
    assert process.stdout is not None
    process.stdout.readline()
    state, path = tmp_path / "state.txt", the_journal(data)

    def kept(wanted: bytes) -> bool:
        digests = [event["digest"] for event in all_events(path, "file")]
        return wanted in [spooled(data, digest) for digest in digests]

    wait_until(lambda: kept(b"0"), "the first state")
    state.write_text("more than ten bytes")
    wait_until(lambda: all_events(path, "file-missing"), "the reason why it is not stored")
    state.write_text("small")
    wait_until(lambda: kept(b"small"), "the state within the limit")
    state.write_text("again more than ten bytes")
    wait_until(lambda: len(all_events(path, "file-missing")) == 2, "the reason, again")
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not sidecars(data), "the end of the sidecar")
    told = {(e["path"], e["reason"]) for e in all_events(path, "file-missing")}
    assert told == {("state.txt", "over max_save_size")}
    assert not is_anywhere(data, "ten bytes")


def test_a_live_folder_keeps_no_more_than_the_limit_at_once(tmp_path: Path, data: Path) -> None:
    (tmp_path / "grows").mkdir()
    process = live(
        tmp_path,
        "run.save('grows')\n"
        "for number in range(4): open(f'grows/{number}', 'w').write(str(number) * 4)\n"
        "print('written', flush=True); time.sleep(600)",
        CODESAVE_MAX_SAVE_SIZE="10",
    )
    assert process.stdout is not None
    assert process.stdout.readline() + process.stdout.readline() == b"ready\nwritten\n"
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not sidecars(data), "the end of the sidecar")
    path = the_journal(data)
    stored = {event["path"] for event in all_events(path, "file")} - {"state.txt"}
    missing = {event["path"] for event in all_events(path, "file-missing")}
    assert len(stored) == len(missing) == 2
    assert stored | missing == {f"grows/{number}" for number in range(4)}


def test_states_that_later_ones_replaced_are_collected_when_the_journal_is_in(
    tmp_path: Path, data: Path
) -> None:
    process = live(tmp_path, "time.sleep(600)")
    assert process.stdout is not None
    process.stdout.readline()
    state, path = tmp_path / "state.txt", the_journal(data)
    for text in ("one", "two", "three"):
        state.write_text(text)
        wanted = digest_of(text.encode())
        wait_until(
            lambda wanted=wanted: wanted in [e["digest"] for e in all_events(path, "file")],
            f"the state {text!r} in the journal",
        )
    with Store.open(data, resolve(environ={}, cwd=data)) as store:
        store.gc(grace=0)
        assert spooled(data, digest_of(b"one")) == b"one", "a journal names it"
        process.kill()
        process.wait()
        process.stdout.close()
        wait_until(lambda: not sidecars(data), "the end of the sidecar")
        Ingest(store).all()
        run = store.nth_run(1)
        store.gc(grace=0)
        assert [each for each in (data / "spool").rglob("*") if each.is_file()] == []
        assert store.get(store.files(run.id).entries["state.txt"].digest) == b"three"


def test_the_journal_stays_locked_until_the_sidecar_is_done(tmp_path: Path, data: Path) -> None:
    import fcntl

    process = live(tmp_path, "time.sleep(600)")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()

    def is_free() -> bool:
        with the_journal(data).open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True

    wait_until(is_free, "the end of the sidecar")
    assert [event["path"] for event in all_events(the_journal(data), "file")][-1:] == ["state.txt"]


def test_a_second_copy_of_the_pipe_in_a_forked_child_keeps_nothing_waiting(
    tmp_path: Path, data: Path
) -> None:
    process = live(
        tmp_path,
        "child = os.fork()\nif child == 0:\n    time.sleep(30); os._exit(0)\n"
        "print(child, flush=True); time.sleep(600)",
    )
    assert process.stdout is not None
    process.stdout.readline()
    child = int(process.stdout.readline())
    (tmp_path / "state.txt").write_text("after the fork")
    process.kill()
    process.wait()
    process.stdout.close()

    def kept() -> bool:
        files = all_events(the_journal(data), "file")
        return bool(files) and spooled(data, files[-1]["digest"]) == b"after the fork"

    try:
        wait_until(kept, "the sidecar's last word", 15)
    finally:
        os.kill(child, signal.SIGKILL)
