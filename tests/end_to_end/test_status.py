"""The status bar tells of a notebook that is not recorded, and why."""

from __future__ import annotations

from typing import Any

from tests.conftest import Lab
from tests.end_to_end.jupyterlab import write_notebook
from tests.end_to_end.test_capture_in_browsers import open_notebook, run_all


def test_a_typo_in_the_project_file_is_told_with_file_and_key_until_it_is_mended(
    lab: Lab, page: Any
) -> None:
    file = lab.root / "typo" / "pyproject.toml"
    file.parent.mkdir()
    write_notebook(file.parent / "status.ipynb", "print('seen')")
    open_notebook(page, ("jupyterlab", lab), "typo/status.ipynb")
    page.locator(".codesave-Status[data-state=recording]").first.wait_for()
    file.write_text('[tool.codesave]\ncaptur = "off"\n')
    failed = page.locator(".codesave-Status[data-state=failed]").first
    failed.wait_for()
    run_all(page)
    failed.locator("button").click()
    told = page.locator(".jp-Dialog-body").inner_text()
    assert "'captur'" in told
    assert str(file) in told
    page.locator(".jp-Dialog .jp-mod-reject").click()
    file.unlink()
    page.locator(".codesave-Status[data-state=recording]").first.wait_for()
