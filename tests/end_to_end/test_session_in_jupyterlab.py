"""What runs in JupyterLab is in the session notebook, output for output."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import nbformat

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import open_lab, run_all_and_save, write_notebook

MIXED = [
    "print('plain text')",
    "import sys; print('to stderr', file=sys.stderr)",
    "1 + 1",
    "'a string with ünïcode and \\u2028'",
    "from IPython.display import display, HTML, Markdown, JSON; display(HTML('<b>bold</b>'))",
    "display(Markdown('*so*')); 'and a result'",
    "for i in range(200): print(i)",
    "1 / 0",
    "import pandas as pd; pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})",
    "%matplotlib inline\nimport matplotlib.pyplot as plt; _ = plt.plot([1, 3, 2])",
    "handle = display('first', display_id=True); handle.update('second')",
    "from IPython.display import clear_output; print('gone'); clear_output(); print('stays')",
    "print('gone too'); clear_output(wait=True); print('stays too')",
    "!echo from a shell",
    "%%bash\necho from bash; echo and its stderr >&2",
    "display(JSON({'a': [1, {'b': None}]}))",
    "import threading as th; t = th.Thread(target=print, args=('threaded',)); t.start(); t.join()",
    "import asyncio; await asyncio.sleep(0); print('awaited')",
    "raise KeyboardInterrupt",
    "x = 5",
]


def as_saved(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give outputs as JupyterLab saves them: it resolves `\\r\\n`, which a terminal prints."""
    for output in outputs:
        if output["output_type"] == "stream":
            output["text"] = output["text"].replace("\r\n", "\n")
    return outputs


def test_twenty_cells_of_mixed_outputs_are_all_in_the_session_notebook(lab: Lab, page: Any) -> None:
    path = write_notebook(lab.root / "mixed.ipynb", *MIXED)
    open_lab(page, lab, "mixed.ipynb")
    run_all_and_save(page)
    saved = nbformat.read(path, as_version=4)

    def recorded() -> Any:
        runs = lab.api(f"runs?notebook={quote('mixed.ipynb')}")["runs"]
        return runs and runs[0]["executions"] == len(MIXED) and runs[0]

    run = wait_until(recorded, "the run with 20 executions")
    session = lab.api(f"runs/{run['id']}/notebook")
    nbformat.validate(nbformat.from_dict(session))
    assert [cell["source"] for cell in session["cells"]] == MIXED
    for mine, theirs in zip(session["cells"], saved.cells, strict=True):
        assert mine["metadata"]["codesave"]["cell_id"] == theirs["id"]
        assert mine["execution_count"] == theirs["execution_count"]
        assert as_saved(mine["outputs"]) == theirs["outputs"], mine["source"]
