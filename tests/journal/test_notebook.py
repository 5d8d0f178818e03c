"""Records become the session notebook by the rules that nbclient follows too."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_codesave.journal import events
from jupyter_codesave.journal.notebook import Fold, dump_notebook
from jupyter_codesave.journal.reader import Record, read
from jupyter_codesave.journal.tail import TailEntry
from tests.journal.records import execute_input, idle, message, run, session, stream, write


def folded(tmp_path: Path, *items: Any) -> Fold:
    fold = Fold()
    for item in read(write(tmp_path / "s.journal", [session(), run(), *items])):
        fold.feed(item)
    return fold


def outputs(fold: Fold, index: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fold.notebook("run1")["cells"][index]["outputs"]
    return found


def display(text: str, display_id: str | None = None, key: str = "request-1") -> list[bytes]:
    transient = {"display_id": display_id} if display_id else {}
    content = {"data": {"text/plain": text}, "metadata": {}, "transient": transient}
    return message("display_data", content, key)


def test_consecutive_prints_of_one_stream_are_one_output(tmp_path: Path) -> None:
    fold = folded(
        tmp_path, execute_input("…"), stream("a"), stream("b"), stream("c", "stderr"), stream("d")
    )
    assert outputs(fold) == [
        {"output_type": "stream", "name": "stdout", "text": "ab"},
        {"output_type": "stream", "name": "stderr", "text": "c"},
        {"output_type": "stream", "name": "stdout", "text": "d"},
    ]


def test_an_update_changes_the_display_wherever_it_stands(tmp_path: Path) -> None:
    update = {"data": {"text/plain": "new"}, "metadata": {}, "transient": {"display_id": "d"}}
    fold = folded(
        tmp_path,
        execute_input("one", key="a"),
        display("old", "d", key="a"),
        execute_input("two", key="b"),
        message("update_display_data", update, "b"),
    )
    assert outputs(fold, 0)[0]["data"] == {"text/plain": "new"}
    assert outputs(fold, 1) == []


def test_clear_output_with_wait_takes_effect_at_the_next_output(tmp_path: Path) -> None:
    items = [execute_input("…"), stream("old"), message("clear_output", {"wait": True})]
    assert outputs(folded(tmp_path, *items))[0]["text"] == "old"
    assert outputs(folded(tmp_path, *items, stream("new")))[0]["text"] == "new"


def test_clear_output_without_wait_takes_effect_at_once(tmp_path: Path) -> None:
    fold = folded(
        tmp_path, execute_input("…"), stream("old"), message("clear_output", {"wait": False})
    )
    assert outputs(fold) == []


def test_outputs_of_requests_that_execute_nothing_are_dropped(tmp_path: Path) -> None:
    fold = folded(tmp_path, stream("stray", key="unknown"), execute_input("1"), idle())
    assert outputs(fold) == []


def test_the_second_running_of_a_cell_gets_an_id_of_its_own(tmp_path: Path) -> None:
    cell = {"run": "run1", "cell_id": "abc", "notebook": None, "store_history": True}
    fold = folded(
        tmp_path,
        execute_input("1", key="a"),
        ("execution", {"key": "a", **cell}),
        idle("a"),
        execute_input("2", key="b"),
        ("execution", {"key": "b", **cell}),
        idle("b"),
    )
    cells = fold.notebook("run1")["cells"]
    assert [cell["id"] for cell in cells] == ["abc", "abc-2"]
    assert [cell["metadata"]["codesave"]["cell_id"] for cell in cells] == ["abc", "abc"]
    assert [cell["metadata"]["codesave"]["status"] for cell in cells] == ["ok", "ok"]


def test_a_cell_without_an_id_gets_one_from_its_source(tmp_path: Path) -> None:
    first = folded(tmp_path, execute_input("x = 1")).notebook("run1")["cells"][0]["id"]
    again = folded(tmp_path, execute_input("x = 1")).notebook("run1")["cells"][0]["id"]
    other = folded(tmp_path, execute_input("x = 2")).notebook("run1")["cells"][0]["id"]
    assert first == again != other


def test_the_same_records_give_the_same_valid_bytes(tmp_path: Path) -> None:
    error = {"ename": "E", "evalue": "v", "traceback": ["t"]}
    items = [
        execute_input("…"),
        stream("\ud800 lone"),
        display("x", "d"),
        message("error", error),
        idle(),
    ]
    fold = folded(tmp_path, *items)
    data = dump_notebook(fold.notebook("run1"))
    assert data == dump_notebook(folded(tmp_path, *items).notebook("run1"))
    nbformat.validate(nbformat.reads(data.decode(), as_version=4))
    assert fold.notebook("run1")["cells"][0]["metadata"]["codesave"]["status"] == "error"


def test_a_message_seen_by_two_taps_counts_once(tmp_path: Path) -> None:
    twice = stream("once\n")
    fold = folded(tmp_path, execute_input("…"), twice, twice)
    assert outputs(fold)[0]["text"] == "once\n"


def test_the_calling_cell_moves_to_the_run_that_init_begins(tmp_path: Path) -> None:
    fold = folded(
        tmp_path,
        execute_input("init()", key="a"),
        ("run", {"run": "run2", "explicit": True, "adopts": "a"}),
        stream("hello", key="a"),
    )
    assert fold.runs["run1"].dropped
    assert [cell.source for cell in fold.listed("run2")] == ["init()"]


def loop(*numbers: int) -> list[Any]:
    """Give what a cell records that begins and finishes a run for each number."""
    items: list[Any] = [execute_input("for …: init()", key="a")]
    for number in numbers:
        name = f"r{number}"
        items += [
            ("run", {"run": name, "explicit": True, "adopts": "a"}),
            stream(f"loss {number}\n", key="a"),
            display(f"plot {number}", f"d{number}", key="a"),
            ("run-end", {"run": name, "ended_by": "finish"}),
        ]
    return items


def shown(fold: Fold, name: str) -> list[str]:
    (cell,) = fold.notebook(name)["cells"]
    return [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]]


def test_a_cell_that_loops_over_runs_is_in_each_with_what_it_showed_meanwhile(
    tmp_path: Path,
) -> None:
    update = {"data": {"text/plain": "new"}, "metadata": {}, "transient": {"display_id": "d0"}}
    fold = folded(
        tmp_path,
        *loop(0, 1, 2),
        message("update_display_data", update, "a"),
        stream("after\n", key="a"),
        idle("a"),
    )
    assert fold.runs["run1"].dropped
    assert shown(fold, "r0") == ["loss 0\n", "new"]
    assert shown(fold, "r1") == ["loss 1\n", "plot 1"]
    assert shown(fold, "r2") == ["loss 2\n", "plot 2", "after\n"]
    found = [execution for name in ("r0", "r1", "r2") for execution in fold.listed(name)]
    assert [fold.execution(each.key).key for each in found] == ["a", "a", "a"]
    assert [each.status for each in found] == ["ok", "ok", "ok"]
    assert all(each.ended for each in found)


def test_a_cell_that_is_forgotten_is_in_none_of_its_runs(tmp_path: Path) -> None:
    fold = folded(tmp_path, *loop(0, 1), ("forget", {"key": "a"}))
    assert [fold.listed(name) for name in fold.runs] == [[], [], []]
    assert fold.executions == {}
    assert {each[:2] for each in fold.forgotten.values()} == {("r0", 1), ("r1", 1)}


def test_a_run_that_saved_files_is_kept_when_its_only_cell_moves(tmp_path: Path) -> None:
    adopts = ("run", {"run": "run2", "explicit": True, "adopts": "a"})
    watch = ("watch", {"run": "run1", "path": "a.txt"})
    fold = folded(tmp_path, execute_input("save(); init()", key="a"), watch, adopts)
    assert not fold.runs["run1"].dropped
    assert [cell.key for cell in fold.listed("run2")] == ["a"]


def test_prints_that_only_the_tail_ring_kept_are_added_once(tmp_path: Path) -> None:
    fold = folded(tmp_path, execute_input("…", key="a"), stream("abc", key="a"))
    entries = [TailEntry("a", "stdout", 0, "abc"), TailEntry("a", "stdout", 3, "def")]
    fold.feed_tail(entries)
    fold.feed_tail(entries)
    assert outputs(fold)[0]["text"] == "abcdef"


def test_outputs_that_were_put_away_come_back_when_late_output_arrives(tmp_path: Path) -> None:
    away: dict[str, Any] = {}
    fold = Fold(lambda place: away[place])
    items = [session(), run(), execute_input("…", key="a"), stream("early ", key="a"), idle("a")]
    path = write(tmp_path / "s.journal", items)
    for item in read(path):
        fold.feed(item)
    away["here"] = fold.outputs_of("a")
    fold.put_away("a", "here")
    write(path, [*items, stream("late", key="a")])
    for item in read(path, fold.offset, fold.sequence):
        fold.feed(item)
    assert outputs(fold)[0]["text"] == "early late"


def test_the_final_state_of_widgets_is_in_the_notebook(tmp_path: Path) -> None:
    view = {
        "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "w1"}},
        "metadata": {},
        "transient": {},
    }
    state = {"_model_name": "IntSliderModel", "_model_module": "m", "value": 1}
    fold = folded(
        tmp_path,
        execute_input("…"),
        message(
            "comm_open",
            {"comm_id": "w1", "target_name": "jupyter.widget", "data": {"state": state}},
        ),
        message(
            "comm_msg",
            {
                "comm_id": "w1",
                "data": {
                    "method": "update",
                    "state": {"value": 7},
                    "buffer_paths": [["image"]],
                },
            },
            buffers=[b"\x00\x01"],
        ),
        message("display_data", view),
    )
    widgets = fold.notebook("run1")["metadata"]["widgets"]
    model = widgets["application/vnd.jupyter.widget-state+json"]["state"]["w1"]
    assert model["state"]["value"] == 7
    assert model["buffers"] == [{"path": ["image"], "data": "AAE=", "encoding": "base64"}]


def test_a_prompt_is_shown_and_its_answer_only_where_it_was_kept(tmp_path: Path) -> None:
    asked = {"key": "request-1", "prompt": "name: "}
    fold = folded(
        tmp_path,
        execute_input("input()"),
        ("stdin", {**asked, "answer": "Ada"}),
        ("stdin", {**asked, "answer": None}),
    )
    assert outputs(fold)[0]["text"] == "name: Ada\nname: \n"


def test_a_notebook_dumped_cell_by_cell_has_the_very_bytes_of_the_whole(tmp_path: Path) -> None:
    odd = '\\ " \ud800 ☃ \u2028 \r\n\n  \t '
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "w"}, "text/plain": odd}
    cells = [
        execute_input(odd, 1, "a"),
        stream(odd, key="a"),
        display(odd, key="a"),
        execute_input("", 2, "b"),
        message("display_data", {"data": view, "metadata": {odd: [{}, []]}, "transient": {}}, "b"),
    ]
    for count in range(len(cells) + 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        fold = folded(folder, *cells[:count])
        assert b"".join(fold.dump("run1")) == dump_notebook(fold.notebook("run1"))


def test_what_is_nested_too_deep_to_be_read_is_a_gap_and_the_rest_is_there(tmp_path: Path) -> None:
    deep = message("display_data", {"data": {}, "metadata": {}})
    deep[-1] = b'{"data": {"application/json": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}"
    fold = folded(tmp_path, execute_input("x"), deep, [b"t", b"<IDS|MSG>"], stream("after"))
    assert [output["output_type"] for output in outputs(fold)] == ["stream"]
    assert len(fold.runs["run1"].gaps) == 2


UNREADABLE = {
    "nested by the thousand": "[" * 3_000 + "]" * 3_000,
    "nested below something": '{"a": [1, "}\\"]", ' + "[" * 3_000 + "]" * 3_000 + "]}",
    "a long number": "7" * 5_000,
    "a long number below something": '[-1.5, {"a": ' + "7" * 5_000 + "}]",
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("kind", ["display_data", "execute_result"])
def test_of_an_output_that_cannot_be_read_its_text_is_kept_and_a_gap_tells_of_the_rest(
    tmp_path: Path, kind: str, value: str
) -> None:
    content = (
        f'{{"data": {{"application/json": {value}, "text/plain": "as \\"text[\\"", '
        '"application/x+json": [1]}, "metadata": {"application/json": {"expanded": true}}, '
        '"transient": {}, "execution_count": 7}'
    )
    shown = message(kind, {})
    shown[-1] = content.encode()
    fold = folded(tmp_path, execute_input("x"), shown)
    (output,) = outputs(fold)
    assert output["data"] == {"text/plain": 'as "text["', "application/x+json": [1]}
    assert output["metadata"] == {"application/json": {"expanded": True}}
    assert output.get("execution_count", 7) == 7
    told = f"the application/json of a message {kind} had to be left out: it cannot be read"
    assert fold.runs["run1"].gaps == [told]
    assert json.loads(b"".join(fold.dump("run1")))


def test_what_can_be_read_can_be_written(tmp_path: Path) -> None:
    within = sys.getrecursionlimit() - 200
    nested = b"[" * within + b"]" * within
    deep = message("display_data", {"data": {}, "metadata": {}})
    deep[-1] = b'{"data": {"application/json": ' + nested + b'}, "metadata": {}}'
    fold = folded(tmp_path, execute_input("x"), deep)
    assert nested in b"".join(fold.dump("run1")).translate(None, b" \n")


def test_an_event_that_is_nested_too_deep_costs_itself_alone(tmp_path: Path) -> None:
    fold = folded(tmp_path, execute_input("x"))
    deep = events.EVENT + b'{"event": "output", "output": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    fold.feed(Record(99, 0, deep, 0))
    assert fold.runs["run1"].gaps == ["an event could not be read"]


def test_what_was_printed_past_python_hides_nothing_of_the_tail(tmp_path: Path) -> None:
    past = {"output_type": "stream", "name": "stdout", "text": "child\n"}
    fold = folded(
        tmp_path,
        execute_input("…"),
        ("output", {"key": "request-1", "output": past, "past": True}),
    )
    fold.feed_tail([TailEntry("request-1", "stdout", 0, "last words\n")])
    assert outputs(fold) == [{**past, "text": "child\nlast words\n"}]
