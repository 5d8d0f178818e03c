"""Real kernels, a real `jupyter lab` and a real browser, each with folders of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests import browser

T = TypeVar("T")


def scale(count: int) -> int:
    """Scale a count of random tries: CODESAVE_TEST_SCALE makes them more."""
    return max(1, int(count * float(os.environ.get("CODESAVE_TEST_SCALE", "1"))))


def isolated(folder: Path) -> dict[str, str]:
    """Give an environment whose home, Jupyter and data folders are below `folder`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # PYTEST: a kernel that sees it does not look at what its subprocesses print
        if not name.startswith(("CODESAVE", "JUPYTER", "JPY_", "IPYTHON", "PYTEST"))
        or name.startswith("CODESAVE_TEST")
    }
    folder.mkdir(parents=True, exist_ok=True)
    return {
        **kept,
        "HOME": str(folder / "home"),
        "CODESAVE_DIR": str(folder / "codesave"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter-runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }


@dataclass
class Kernel:
    """A real kernel and a client of it; `run` waits until the cell has ended."""

    manager: Any
    client: Any

    def run(self, code: str, timeout: float = 60, **options: Any) -> str:
        """Execute a cell and give the msg_id of its request."""
        if options:
            message = self.client.session.msg(
                "execute_request",
                {
                    "code": code,
                    "silent": options.get("silent", False),
                    "store_history": options.get("store_history", True),
                    "user_expressions": {},
                    "allow_stdin": False,
                    "stop_on_error": False,
                },
                metadata=options.get("metadata", {}),
            )
            self.client.shell_channel.send(message)
            key: str = message["header"]["msg_id"]
        else:
            key = self.client.execute(code, stop_on_error=False, allow_stdin=False)
        deadline = time.monotonic() + timeout
        while True:
            reply = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") != key:
                continue
            if reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
                break
        while self.client.get_shell_msg(timeout=timeout)["parent_header"].get("msg_id") != key:
            pass
        return key

    def stop(self) -> None:
        """Shut the kernel down as a server does."""
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel()


@dataclass
class Home:
    """A user's own folders: data folder, environment, kernels and command line."""

    folder: Path
    environment: dict[str, str]
    kernels: list[Kernel] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.environment["CODESAVE_DIR"])

    @property
    def work(self) -> Path:
        """The folder in which kernels and commands run."""
        folder = self.folder / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def kernel(self, notebook: str | None = None, **environment: str) -> Kernel:
        """Start a kernel, as for `notebook` (a name in the work folder) when one is given."""
        from jupyter_client.manager import start_new_kernel

        env = {**self.environment, **environment}
        if notebook is not None:
            env["JPY_SESSION_NAME"] = str(self.work / notebook)
        manager, client = start_new_kernel(
            kernel_name="python3", env=env, cwd=str(self.work), startup_timeout=120
        )
        kernel = Kernel(manager, client)
        self.kernels.append(kernel)
        return kernel

    def command(self, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `jupyter codesave ARGUMENTS` and expect its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "jupyter_codesave", *arguments],
            env=self.environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, check: int | None = 0) -> Any:
        """Run a command with --json and give what it printed."""
        return json.loads(self.command(*arguments, "--json", check=check).stdout)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A new user on this machine."""
    found = Home(tmp_path, isolated(tmp_path))
    yield found
    for kernel in found.kernels:
        kernel.stop()


@dataclass
class Lab:
    """A running `jupyter lab`."""

    url: str
    token: str
    home: Home
    process: subprocess.Popen[bytes]

    @property
    def root(self) -> Path:
        """The server's root folder."""
        return self.home.work

    def api(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask `codesave/api/PATH` and give the JSON."""
        request = urllib.request.Request(
            f"{self.url}codesave/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            text = response.read()
        return json.loads(text) if text else None


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread with a loop of its own: the browser tests keep one running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Wait for something outside this process that tells no one when it happens."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen in {timeout:g} s")
        time.sleep(0.05)
    return found


@contextmanager
def running_lab(
    home: Home,
    *arguments: str,
    app: str = "jupyterlab",
    root: Path | None = None,
    healthy: bool = True,
) -> Iterator[Lab]:
    """Run a server of `home`; `app` is the module that starts it. Ended with the context.

    One that is not `healthy` answers `status` with an error.
    """
    port, token = free_port(), secrets.token_hex(16)
    base = next((a.split("=", 1)[1] for a in arguments if "base_url" in a), "/")
    quiet = Path(home.environment["JUPYTER_CONFIG_DIR"]) / "lab" / "user-settings"
    notifications = (
        quiet / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    )
    notifications.parent.mkdir(parents=True, exist_ok=True)
    notifications.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    log_file = home.folder / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-X",
                "faulthandler",
                "-m",
                app,
                "--no-browser",
                "--allow-root",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={token}",
                f"--ServerApp.root_dir={root or home.work}",
                "--LabApp.expose_app_in_browser=True",
                "--JupyterNotebookApp.expose_app_in_browser=True",
                "--LabApp.news_url=",
                *arguments,
            ],
            env=home.environment,
            cwd=home.work,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    lab = Lab(f"http://127.0.0.1:{port}{base}", token, home, process)

    def answers() -> bool:
        assert process.poll() is None, log_file.read_text()
        try:
            return bool(lab.api("status"))
        except urllib.error.HTTPError:
            return not healthy
        except OSError:
            return False

    try:
        wait_until(answers, "the server's first answer", 120)
        yield lab
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # says in the log where each thread stands
            process.wait(30)
            pytest.fail(f"the server does not end:\n{log_file.read_text()[-9000:]}")


@pytest.fixture(scope="session")
def start_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """Start a server: `start_lab("--ServerApp.base_url=/x/")`; ended with the test run."""
    with ExitStack() as stack:

        def start(
            *arguments: str, app: str = "jupyterlab", healthy: bool = True, **environment: str
        ) -> Lab:
            folder = tmp_path_factory.mktemp("lab")
            home = Home(folder, isolated(folder) | environment)
            lab = running_lab(home, *arguments, app=app, healthy=healthy)
            return stack.enter_context(lab)

        yield start


@pytest.fixture(scope="session")
def lab(start_lab: Callable[..., Lab]) -> Lab:
    """One `jupyter lab` for the test run."""
    return start_lab()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the test run."""
    from playwright.sync_api import sync_playwright

    path = browser.executable()
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=browser.FLAGS, timeout=60_000)
        yield found
        found.close()


# JupyterLab takes its splash away twice, and fails, when a theme is loaded within the 200 ms in
# which the splash of its start fades (`Private.showSplash` of apputils-extension, seen in 4.6).
_SPLASH = """
const remove = Node.prototype.removeChild;
Node.prototype.removeChild = function (node) {
  const gone = node?.id === 'jupyterlab-splash' && node.parentNode !== this;
  return gone ? node : remove.call(this, node);
};
"""


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A new page, with every error of its console collected in `page.problems`."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    found = context.new_page()
    found.add_init_script(_SPLASH)
    found.problems = []
    found.on("pageerror", lambda error: found.problems.append(f"{error} {found.refused}"))
    found.refused = []  # what the server answered badly; tells what a rejected promise was about
    found.on(
        "response",
        lambda answer: answer.status >= 400 and found.refused.append((answer.status, answer.url)),
    )
    yield found
    context.close()
