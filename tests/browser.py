"""The browser that the tests drive: found, or installed where that may be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str | None:
    """Give a browser's path: CODESAVE_TEST_BROWSER, Playwright's own, or the system's."""
    if given := os.environ.get("CODESAVE_TEST_BROWSER"):
        return given
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if own and Path(own).exists():
        return own
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def install() -> str:
    """Find a browser or install Debian's (root and apt) or Playwright's; else say what to do."""
    if found := executable():
        return found
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "chromium"]):
            subprocess.run(["apt-get", *command], env=environment, check=False)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if found := executable():
        return found
    sys.exit(
        "The tests need a browser and none is here. Install one (Debian: `sudo apt-get install "
        "chromium`; elsewhere: `python -m playwright install chromium`), or name one in "
        "CODESAVE_TEST_BROWSER, and run this again."
    )
