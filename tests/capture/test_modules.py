"""The user's own modules are kept as they are imported, edited and reloaded."""

from __future__ import annotations

from pathlib import Path

from jupyter_codesave.model.digest import digest_of
from tests.capture.journals import all_events, outputs, text_of, the_journal
from tests.conftest import Home, wait_until


def kept(home: Home) -> dict[str, list[str]]:
    """Give the digests of each module, in the order in which they came."""
    found: dict[str, list[str]] = {}
    for event in all_events(the_journal(home.data), "code"):
        for entry in event["files"]:
            found.setdefault(entry["path"], []).append(entry["digest"])
    return found


def digest(path: Path) -> str:
    return digest_of(path.read_bytes())


def test_an_edit_that_autoreload_brings_in_is_kept(home: Home) -> None:
    (home.work / ".git").mkdir()
    package = home.work / "own"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "deep" / "__init__.py").write_text("")
    module = package / "deep" / "steps.py"
    module.write_text("def step():\n    return 'first'\n")
    before = digest(module)
    kernel = home.kernel("notebooks.ipynb")
    kernel.run("%load_ext autoreload\n%autoreload 2\nfrom own.deep import steps\nimport json")
    wait_until(lambda: kept(home).get("own/deep/steps.py") == [before], "the first state")
    module.write_text("def step():\n    return 'second, longer'\n")
    kernel.run("print(steps.step())")
    assert text_of(outputs(the_journal(home.data))[-1]) == "second, longer\n"
    after = digest(module)
    wait_until(lambda: kept(home)["own/deep/steps.py"] == [before, after], "the second state")
    assert sorted(kept(home)) == ["own/__init__.py", "own/deep/__init__.py", "own/deep/steps.py"]
    kernel.stop()
    (run,) = home.json("runs")
    assert home.command("cat", run["id"], "own/deep/steps.py").stdout == module.read_text()


def test_a_module_that_is_edited_and_never_reloaded_is_kept_as_it_is_on_disk(home: Home) -> None:
    module = home.work / "own.py"
    module.write_text("value = 1\n")
    kernel = home.kernel("paper.ipynb")
    kernel.run("import own")
    wait_until(lambda: "own.py" in kept(home), "the module")
    module.unlink()
    kernel.run("own.value")
    kernel.stop()
    (run,) = home.json("runs")
    assert home.command("cat", run["id"], "own.py").stdout == "value = 1\n"


def test_a_module_that_cannot_be_asked_keeps_no_other_from_being_kept(home: Home) -> None:
    (home.work / "own.py").write_text("value = 1\n")
    kernel = home.kernel("paper.ipynb")
    kernel.run(
        "import sys, types\n"
        "class Lazy(types.ModuleType):\n"
        "    def __getattribute__(self, name):\n"
        "        asked.append(name); raise ImportError(name)\n"
        "asked, sys.modules['lazy'] = [], Lazy('lazy')\n"
        "import own"
    )
    wait_until(lambda: "own.py" in kept(home), "the module")
    kernel.run("print([name for name in asked if name == '__file__'])")
    assert text_of(outputs(the_journal(home.data))[-1]) == "[]\n"
