"""Blobs in object storage (S3, GCS, Azure), through obstore.

An object's key is `PREFIX/AREA/ab/cdef…`. Putting overwrites: equal keys hold equal bytes, so that
no server's conditional writes have to be trusted. A put is acknowledged once the server has it all.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..errors import NotFoundError, UnavailableError
from ..model.digest import digest_of, digest_stream, is_digest
from .base import Kept

_MULTIPART = 8 << 20
_BUFFER = 4 << 20


class RemoteBlobs:
    """A bucket or container, below a prefix; credentials come from the environment alone."""

    def __init__(self, url: str, *, prefix: str = "", store: Any = None, **options: Any) -> None:
        self.url = url
        self._prefix = prefix
        self._store = store if store is not None else _connect(url, options)

    def put(self, data: bytes, key: str | None = None) -> str:
        """Keep `data` under `key` (its own digest when None) and give the key."""
        key = key or digest_of(data)
        self.replace(data, key)
        return key

    def replace(self, data: bytes, key: str) -> None:
        """Put, whatever is there."""
        import obstore

        path = self._path(key)
        with _faults(self.url):
            obstore.put(self._store, path, data, use_multipart=len(data) > _MULTIPART)

    def put_file(self, path: str | os.PathLike[str], key: str | None = None) -> tuple[str, int]:
        """Keep a copy of a file's bytes in parts; give the key and the number of bytes.

        The file is hashed first and sent second; should it change in between, UnavailableError.
        """
        import obstore

        with open(path, "rb") as source:
            digest, size = digest_stream(source)
            source.seek(0)
            hashing = _Hashing(source)
            target = self._path(key or digest)
            with _faults(self.url):
                if size > _MULTIPART:
                    obstore.put(
                        self._store,
                        target,
                        iter(lambda: hashing.read(_BUFFER), b""),
                        use_multipart=True,
                        # S3 takes 10,000 parts, whatever their size.
                        chunk_size=max(_MULTIPART, size // 9000),
                        max_concurrency=3,
                    )
                else:
                    obstore.put(self._store, target, hashing.read(-1), use_multipart=False)
        if hashing.digest() != digest:
            self.delete(key or digest)
            raise UnavailableError(f"{Path(path)} changed while it was stored; save it again")
        return key or digest, size

    def get(self, key: str) -> bytes:
        """Give all bytes under `key`; NotFoundError when there are none."""
        import obstore

        path = self._path(key)
        with _faults(self.url, key):
            return bytes(obstore.get(self._store, path).bytes())

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset` on; some servers know no ranges: then all is read."""
        import obstore

        path = self._path(key)
        if not length:
            return b""
        try:
            with _faults(self.url, key):
                found = bytes(obstore.get_range(self._store, path, start=offset, length=length))
            if len(found) <= length:
                return found
        except UnavailableError:
            pass
        return self.get(key)[offset : offset + length]

    def open(self, key: str) -> BinaryIO:
        """Open the bytes under `key` for reading, one forward pass, in bounded memory."""
        import obstore

        path = self._path(key)
        with _faults(self.url, key):
            chunks = obstore.get(self._store, path).stream(min_chunk_size=1 << 20)
        return cast(BinaryIO, io.BufferedReader(_Chunks(iter(chunks), self.url, key), _BUFFER))

    def has(self, key: str) -> bool:
        """Tell whether there are bytes under `key`."""
        import obstore

        path = self._path(key)
        try:
            with _faults(self.url, key):
                obstore.head(self._store, path)
        except NotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove what is under `key`; nothing happens when nothing is there."""
        import obstore

        path = self._path(key)
        try:
            with _faults(self.url, key):
                obstore.delete(self._store, path)
        except NotFoundError:
            pass

    def listing(self) -> Iterator[Kept]:
        """List every blob, in no order, without reading one."""
        import obstore

        with _faults(self.url):
            for batch in obstore.list(self._store, prefix=self._prefix or None):
                for found in batch:
                    key = "sha256:" + "".join(found["path"].split("/")[-2:])
                    own = found["path"] == self._path(key) if is_digest(key) else False
                    if own:
                        yield Kept(key, found["size"], found["last_modified"].timestamp())

    def area(self, name: str) -> RemoteBlobs:
        """Give a neighbouring place with keys of its own: one more part of the prefix."""
        prefix = f"{self._prefix}/{name}" if self._prefix else name
        return RemoteBlobs(self.url, prefix=prefix, store=self._store)

    def _path(self, key: str) -> str:
        if not is_digest(key):
            raise NotFoundError(f"{key!r} is no digest; a digest is sha256: and 64 hex digits")
        head = f"{self._prefix}/" if self._prefix else ""
        return f"{head}{key[7:9]}/{key[9:]}"


class _Hashing:
    def __init__(self, source: BinaryIO) -> None:
        import hashlib

        self._source, self._sha = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self._source.read(size)
        self._sha.update(chunk)
        return chunk

    def digest(self) -> str:
        return "sha256:" + self._sha.hexdigest()


class _Chunks(io.RawIOBase):
    """What a server streams, as a file."""

    def __init__(self, chunks: Iterator[Any], url: str, key: str) -> None:
        self._chunks, self._url, self._key = chunks, url, key
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            with _faults(self._url, self._key):
                chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(bytes(chunk))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _faults:  # noqa: N801 - reads as a statement
    """Turn what obstore raises into our errors."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url, self._key = url, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, (NotFoundError, UnavailableError)):
            return
        from obstore.exceptions import BaseError

        if isinstance(error, FileNotFoundError) or type(error).__name__ == "NotFoundError":
            raise NotFoundError(
                f"the blob {self._key} is not in {self._url}; `jupyter codesave verify` tells what "
                "is missing"
            ) from error
        if isinstance(error, (BaseError, OSError)):
            first = (str(error).splitlines() or [type(error).__name__])[0].partition("<?xml")[0]
            if code := re.search(r"<Code>(\w+)</Code>", str(error)):
                first += code[1]
            raise UnavailableError(
                f"{_without_secrets(self._url)} cannot be reached: {first}; check artifact_url, "
                "the network and the credentials in the environment"
            ) from error


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def _connect(url: str, options: dict[str, Any]) -> Any:
    try:
        from obstore.store import from_url
    except ImportError:
        raise UnavailableError(
            f"{_without_secrets(url)} needs obstore, which is not installed; "
            "run `pip install jupyter_codesave[team]`"
        ) from None
    if not url.startswith(("s3://", "gs://", "az://")):
        raise UnavailableError(
            f"artifact_url {_without_secrets(url)!r} is not understood; "
            "it begins with s3://, gs:// or az://"
        )
    local = any(
        "127.0.0.1" in os.environ.get(name, "") or "localhost" in os.environ.get(name, "")
        for name in (
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT",
            "AZURITE_BLOB_STORAGE_URL",
            "GOOGLE_SERVICE_ACCOUNT_KEY",  # a key without secrets may name its own base URL
        )
    )
    if local:
        options = {"client_options": {"allow_http": True}, **options}
    try:
        return from_url(url, **options)
    except Exception as error:
        raise UnavailableError(
            f"artifact_url {_without_secrets(url)!r} cannot be used: {error}"
        ) from error
