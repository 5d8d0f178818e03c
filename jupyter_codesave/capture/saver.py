"""save(): links to what was named, snapshots of it, and a sidecar for what changes later."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import CodeSaveError
from ..model.policy import POLICIES
from .files import BUCKETS, OWN, URLS, Found, Named, expand, files_of, refusal
from .run import Run
from .sidecar import Sidecar
from .warning import warn

OVER = "over max_save_size"
_MADE_UP = 1 << 20  # bytes that are read of what the system makes up: it may go on for ever


def save(
    run: Run,
    glob_str: str | bytes | os.PathLike[str],
    base_path: str | os.PathLike[str] | None = None,
    policy: str = "live",
    glob: bool = True,
    *,
    follow_links: bool = False,
    force: bool = False,
    progress: bool | None = None,
) -> list[str]:
    """Save what `glob_str` names, and give the links to it in the run's folder, sorted.

    `force` stores however large it is; `follow_links` follows links that lead out of the base.
    """
    if not isinstance(glob_str, str | bytes | os.PathLike):
        raise TypeError(f"save() needs a path or glob, not {type(glob_str).__name__}")
    if run.disabled:
        return []
    address = os.fsdecode(glob_str).startswith(URLS)
    if not os.fsdecode(glob_str).startswith(BUCKETS):  # those were never looked at more closely
        if policy not in POLICIES:
            raise ValueError(f"the policy is {policy!r}; it must be one of {', '.join(POLICIES)}")
        try:
            named = expand(glob_str, base_path, glob=glob)
        except FileNotFoundError:
            warn("nothing is saved: the working directory was deleted")
            return []
    if address:
        warn(f"{os.fsdecode(glob_str)} is not a local file: nothing is saved")
        return []
    recorder = run.recorder
    if run.reason or recorder is None:
        warn(f"nothing is saved: {run.reason}")
        return []
    if not named:
        what = os.fsdecode(glob_str)
        warn(f"nothing is saved: {what!r} is not there yet; call save() again when it is")
        return []
    own = os.path.realpath(recorder.switch.folder)
    kept, tops, found, missing = _look_up(named, follow_links, own)
    size = sum(file.status.st_size for file in found.values())
    limit = None if force else recorder.switch.value("max_save_size") or None
    if limit is not None and size > limit:
        if not _may_store(size, limit, recorder):
            for path in found:
                recorder.event("file-missing", run=run.id, path=path, reason=OVER)
            return []
        limit = None
    for path, reason in missing.items():
        recorder.event("file-missing", run=run.id, path=path, reason=reason)
    if missing:
        listed = ", ".join(f"{path} ({reason})" for path, reason in list(missing.items())[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        warn(f"not saved: {listed}{more}")
    if run.saver is None:
        run.saver = Saver(run)
    links = [_link(run, each) for each in kept]
    if policy == "now":
        run.saver.snapshot(list(found.values()), progress)
    else:
        run.saver.watch(tops, policy, follow_links, limit)
    return links


class Saver:
    """What one run saves."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sidecar: Sidecar | None = None

    def snapshot(self, files: list[Found], progress: bool | None) -> None:
        """Keep the files as they are now."""
        recorder = self._run.recorder
        assert recorder is not None
        if self._sidecar is not None:
            self._sidecar.forget(self._run.id, [file.path for file in files])
        for file in _with_progress(files, progress):
            event, fields = snapshot(recorder.spool, self._run.id, file, "now")
            recorder.event(event, **fields)

    def watch(self, named: list[Named], policy: str, follow: bool, limit: int | None) -> None:
        """Keep each settled state (`live`) or the last one (`end`) of what was named.

        What would make it more than `limit` bytes at once is told as missing.
        """
        recorder = self._run.recorder
        assert recorder is not None
        if self._sidecar is None:
            self._sidecar = recorder.guarded(Sidecar.of, recorder)
            if self._sidecar is not None:
                recorder.cell_ended.append(self._sidecar.scan)
        for each in named:
            recorder.event(
                "watch", run=self._run.id, path=each.path, source=each.source, policy=policy
            )
        if self._sidecar is not None:  # else ingest looks for what the journal says is watched
            self._sidecar.watch(self._run.id, named, policy, follow, limit)

    def settle(self, timeout: float, *, exiting: bool) -> None:
        """Keep the last state of all that is watched; what takes longer, the sidecar ends alone."""
        sidecar = self._sidecar
        if sidecar is None:
            return
        recorder = self._run._recorder
        if recorder is not None and sidecar.scan in recorder.cell_ended:
            recorder.cell_ended.remove(sidecar.scan)
        if not sidecar.settle(self._run.id, timeout) and exiting:
            sidecar.hand_over()


def snapshot(spool: Any, run: str, file: Found, policy: str) -> tuple[str, dict[str, Any]]:
    """Keep a file's bytes as they are now; give the event that says so, or why it is missing."""
    try:
        if file.is_made_up:
            data = _read_made_up(file.source)
            digest, size = spool.put(data), len(data)
        else:
            digest, size = spool.put_file(file.source)
    except (OSError, CodeSaveError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return "file-missing", {"run": run, "path": file.path, "reason": reason}
    return "file", {
        "run": run,
        "path": file.path,
        "digest": digest,
        "size": size,
        "mode": file.mode,
        "policy": policy,
        "source": file.source,
        "mtime_ns": file.status.st_mtime_ns,
    }


def _read_made_up(source: str) -> bytes:
    """Read what is there, without waiting for more: /proc/kmsg waits for the next message."""
    handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    try:
        data = b""
        while len(data) < _MADE_UP and (more := os.read(handle, _MADE_UP - len(data))):
            data += more
        return data
    finally:
        os.close(handle)


def _look_up(
    named: list[Named], follow: bool, own: str
) -> tuple[list[Named], list[Named], dict[str, Found], dict[str, str]]:
    """Give what may be saved of `named`, the files of it, and why others are not among them.

    Second comes what of it is not below another one: `dir/**` names each folder, and all of them
    are walked with the first.
    """
    kept: list[Named] = []
    tops: dict[str, Named] = {}
    found: dict[str, Found] = {}
    missing: dict[str, str] = {}
    for each in named:
        if (reason := refusal(each, own)) is not None:
            if reason != OWN or OWN not in missing.values():  # one of thousands says it
                missing[each.path] = reason
            continue
        kept.append(each)
        if any(above in tops for above in _above(each.path)):
            continue
        tops[each.path] = each
        for file in files_of(each, follow=follow, own=own):
            if isinstance(file, Found):
                found[file.path] = file
            else:
                missing[file[0]] = file[1]
    return kept, list(tops.values()), found, missing


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _link(run: Run, named: Named) -> str:
    """Make `files/PATH` in the run's folder a link to the file; give its absolute path."""
    base = os.path.join(run.dir, "files")
    *above, name = named.path.split("/")
    folder = base
    try:
        for made in (os.path.dirname(run.dir), run.dir, base):
            os.makedirs(made, mode=0o700, exist_ok=True)
        for each in above:
            folder = os.path.join(folder, each)
            if os.path.islink(folder):
                _open_up(folder)  # never write through it into the user's own folder
            os.makedirs(folder, exist_ok=True)
        link = os.path.join(folder, name)
        if os.path.islink(link):
            os.unlink(link)
        if os.path.isdir(link) and os.path.isdir(named.source):
            _fill(link, named.source)
        elif not os.path.lexists(link):
            _make_link(named.source, link)
    except OSError as error:
        warn(f"no link to {named.source}: {error.strerror}")
    return os.path.join(base, *above, name)


def _open_up(link: str) -> None:
    """Replace a link to a folder by a folder of links to what is in it."""
    source = os.readlink(link)
    os.unlink(link)
    os.mkdir(link)
    _fill(link, source)


def _fill(folder: str, source: str) -> None:
    for name in os.listdir(source):
        if not os.path.lexists(os.path.join(folder, name)):
            _make_link(os.path.join(source, name), os.path.join(folder, name))


def _make_link(source: str, link: str) -> None:
    try:
        os.symlink(source, link)
    except (OSError, NotImplementedError):  # Windows, without the right to make links
        if os.path.isfile(source):
            shutil.copy2(source, link)


def _may_store(size: int, limit: int, recorder: Any) -> bool:
    text = f"{size / 1e9:,.1f} GB are more than max_save_size ({limit / 1e9:,.1f} GB)"
    if _can_ask(recorder):
        answer = input(f"codesave: {text}. Store them? [y/N] ")
        if answer.strip().lower() in ("y", "yes"):
            return True
    warn(f"nothing is saved: {text}; give force=True or raise it")
    return False


def _can_ask(recorder: Any) -> bool:
    if recorder.kind == "kernel":
        from IPython.core.getipython import get_ipython

        kernel = getattr(get_ipython(), "kernel", None)
        return bool(getattr(kernel, "_allow_stdin", False))
    return bool(sys.stdin and sys.stdin.isatty())


def _with_progress(files: list[Found], wanted: bool | None) -> Any:
    """Show a bar when there is long work and someone looks; never in logs."""
    total = sum(file.status.st_size for file in files)
    if wanted is False or (wanted is None and total < 200 << 20):
        return files
    from tqdm.auto import tqdm

    return tqdm(files, desc="saving", unit="file", leave=False, disable=None)
