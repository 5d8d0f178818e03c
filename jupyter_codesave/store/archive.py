"""A .zip of runs: their records and blobs, readable by any zip tool and by `copy --from`.

`records/DIGEST` is JSON, `blobs/DIGEST` the plain bytes of a blob; digests are spelled in hex.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..catalog import runs
from ..errors import DamagedError, NotFoundError
from ..model.digest import digest_of
from . import records
from .part import Part, clear_parts

if TYPE_CHECKING:
    from .store import Progress, Store

_LARGEST = 256 << 20  # bytes of a record, or of a blob that is not streamed
_GROWTH = 200  # times the archive's size that its entries may take together
_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(RuntimeError, NotImplementedError, ValueError),  # encrypted, or packed in an unknown way
)


class Archive:
    """An archive that is open for reading."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise NotFoundError(f"there is no archive {path}") from None
        except _FAULTS as error:
            raise DamagedError(
                f"the archive {path} cannot be read ({error}); copy it again"
            ) from error
        self.path = path
        self.names = set(self._zip.namelist())
        self._check_sizes()
        self._records = [self._record(name) for name in sorted(self.names) if _is_record(name)]

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def runs(self) -> list[str]:
        """Name the runs in the archive, oldest first."""
        own = (each for each in self._records if each["kind"] == "run")
        return [each["run"]["id"] for each in records.newest(own)]

    def records_of(self, run_id: str) -> list[records.Record]:
        """Give the records that belong to a run."""
        run = next(
            each
            for each in records.newest(self._records)
            if each["kind"] == "run" and each["run"]["id"] == run_id
        )
        names = {row["artifact"] for row in run["versions"]}
        found = [run]
        for each in self._records:
            if each["kind"] == "journal" and each["journal"]["session"] == run["run"]["session"]:
                found.append(each)
            elif each["kind"] == "ledger":
                rows = [row for row in each["series"] if row[2] in names]
                found.append({**each, "series": rows})
        return found

    def get(self, digest: str) -> bytes:
        """Give a blob's bytes; DamagedError when they are not what they should be."""
        with self.open(digest) as file:
            data = file.read(_LARGEST + 1)
        if digest_of(data) != digest:
            raise DamagedError(f"{digest} in {self.path} is damaged; copy the archive again")
        return data

    def open(self, digest: str) -> BinaryIO:
        """Open a blob's bytes; DamagedError while they are read when the archive is damaged."""
        name = f"blobs/{digest[7:]}"
        if name not in self.names:
            raise NotFoundError(f"{self.path} does not hold the blob {digest}")
        return cast(BinaryIO, io.BufferedReader(_Inside(self._zip, name, self.path), 1 << 20))

    def copy_into(self, target: zipfile.ZipFile, but: Iterable[str]) -> None:
        """Copy all entries into another archive, but some."""
        left_out = set(but)
        for name in sorted(self.names - left_out):
            with self._zip.open(name) as source, _entry(target, name) as sink:
                while chunk := source.read(1 << 20):
                    sink.write(chunk)

    def _check_sizes(self) -> None:
        """Refuse an archive that is made to fill memory and disks."""
        whole = sum(entry.file_size for entry in self._zip.infolist())
        told = sum(entry.file_size for entry in self._zip.infolist() if _is_record(entry.filename))
        if whole > self.path.stat().st_size * _GROWTH + _LARGEST or told > 4 * _LARGEST:
            raise DamagedError(
                f"the archive {self.path} would grow to {whole:,} bytes, as none of ours does; "
                "do not trust where it comes from"
            )

    def _record(self, name: str) -> records.Record:
        with io.BufferedReader(_Inside(self._zip, name, self.path)) as file:
            data = file.read(_LARGEST + 1)
        record = records.load(data) if len(data) <= _LARGEST else None
        if record is None:
            raise DamagedError(f"{name} in {self.path} is no record; copy the archive again")
        return record


class _Inside(io.RawIOBase):
    """An entry of an archive; whatever is wrong with it is told as damage."""

    def __init__(self, archive: zipfile.ZipFile, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self._file = self._do(lambda: archive.open(name))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._do(lambda: self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _do(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except _FAULTS as error:
            raise DamagedError(
                f"{self._name} in {self._path} cannot be read ({error}); copy the archive again"
            ) from error


def pack_up(store: Store, path: Path, ids: Iterable[str], progress: Progress) -> dict[str, int]:
    """Write runs into an archive, beside what is in it already; it is replaced once it is whole.

    What was broken off is gone on with.
    """
    from .copy import blobs_of, records_for, run_by_run

    counts = {"runs": 0, "blobs": 0, "unchanged": 0}
    damage: DamagedError | None = None
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_parts(path)
    ids = list(ids)
    with Part(path, ids) as part:
        there = set(part.zip.namelist())
        if path.exists():
            with Archive(path) as old:
                old.copy_into(part.zip, there)
                there |= old.names

        def add(run_id: str) -> None:
            with store.catalog.read() as tx:
                found = records_for(tx, run_id)
                found[0]["revision"] = runs.revision(tx, run_id)
            names = [f"records/{digest_of(records.dump(each))[7:]}" for each in found]
            if names[0] in there:
                counts["unchanged"] += 1
                return
            for digest in sorted(blobs_of(found, store.get)):
                name = f"blobs/{digest[7:]}"
                if name in there:
                    continue
                with store.open_blob(digest) as source, _entry(part.zip, name) as sink:
                    while chunk := source.read(1 << 20):
                        sink.write(chunk)
                there.add(name)
                counts["blobs"] += 1
            for name, record in zip(names, found, strict=True):
                if name not in there:
                    with _entry(part.zip, name) as sink:
                        sink.write(records.dump(record))
                    there.add(name)
            counts["runs"] += 1
            part.mark()

        try:
            run_by_run(progress(ids), add)
        except DamagedError as error:
            damage = error
    if damage is not None:
        raise damage
    return counts


@contextmanager
def _entry(target: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    """Write an entry; when that is broken off, nothing of it is in the archive."""
    # A fixed time: the same runs make the same archive.
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    try:
        with target.open(info, "w", force_zip64=True) as sink:
            yield cast(BinaryIO, sink)
    except BaseException:
        if target.NameToInfo.get(name) is info:  # closing it has booked it as if it were whole
            target.filelist.remove(info)
            del target.NameToInfo[name]
            target.start_dir = info.header_offset
        raise


def _is_record(name: str) -> bool:
    return name.startswith("records/")
