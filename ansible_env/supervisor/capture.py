"""The output of a script: the controller keeps all of it, a result only a part of it."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

from ansible_env.results.masking import MASK, forms

RESULT_LIMIT = 64 * 1024
"""Bytes of a stream that a result contains: the first quarter and the last three quarters of that."""
PIECE = 1024 * 1024
"""Bytes read at a time."""
IN_MEMORY = 256 * 1024
"""Bytes of a stream that stay in memory if no file is requested: creating a file takes up to a millisecond."""
MOST_IN_MEMORY = 64 * 1024 * 1024
"""Bytes of a stream that stay in memory if the controller's disk is full."""


def log_path(directory: Path, host: str, stream: str) -> Path:
    """Return the file for a host's stdout or stderr. It is in the directory for every host name."""
    name = quote(host, safe="@:")
    if len(name) > 120:
        name = f"{name[:80]}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"
    return directory / f"{name}.{stream}"


class Masker:
    """Replaces secrets in a stream, also one that is split between two pieces."""

    def __init__(self, secrets: Sequence[str]) -> None:
        encoded = {form.encode("utf-8", "surrogateescape") for form in forms(secrets)}
        self._secrets = sorted(encoded, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._held = b""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Return the output that is certain to contain no part of a secret."""
        if self._pattern is None:
            return data
        data = self._held + data
        sure = len(data) if last else len(data) - self._begun(data)
        shown, end = [], 0
        for match in self._pattern.finditer(data):
            if match.start() >= sure:  # one secret may be the beginning of another
                break
            shown += [data[end : match.start()], MASK.encode()]
            end = match.end()
        self._held = data[max(end, sure) :]
        return b"".join([*shown, data[end : max(end, sure)]])

    def _begun(self, data: bytes) -> int:
        """Return the length of the longest end of the data that may be the beginning of a secret."""
        longest = min(len(self._secrets[0]) - 1, len(data))
        ends = ((n, data[-n:]) for n in range(longest, 0, -1))
        return next((n for n, end in ends for s in self._secrets if len(s) > n and s.startswith(end)), 0)


class Stream:
    """One stream of one script, appended to a log file. Without a path it is in memory or in an unnamed file."""

    def __init__(self, path: Path | None, secrets: Sequence[str]) -> None:
        self.path = path
        self._masker = Masker(secrets)
        self._file: IO[bytes]
        if path is None:
            self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - read after the script's end
        else:
            try:
                path.touch(mode=0o600)  # of a file that is there already, the mode stays
                self._file = path.open("ab+", buffering=0)
            except OSError:
                self._file, self.path = io.BytesIO(), None
        self._start = self._file.seek(0, 2)

    def write(self, data: bytes) -> None:
        """Append what is new."""
        self._append(self._masker.feed(data))

    def _append(self, data: bytes) -> None:
        """Write to the file; if that fails, the rest of the output stays in memory, up to a limit."""
        while data and self.path is not None:
            try:
                data = data[self._file.write(data) :]
            except OSError:
                self._keep_in_memory()
        if data and not (isinstance(self._file, io.BytesIO) and self._file.tell() > MOST_IN_MEMORY):
            self._file.write(data)

    def _keep_in_memory(self) -> None:
        memory, left = io.BytesIO(), min(self._file.seek(0, 2) - self._start, MOST_IN_MEMORY)
        self._file.seek(self._start)
        while left > 0 and (data := self._file.read(min(left, PIECE))):
            left -= memory.write(data)
        self._file.close()
        self._file, self._start, self.path = memory, 0, None

    def close(self) -> None:
        """Write what was held back. The stream can still be read."""
        if not self._file.closed:
            self._append(self._masker.feed(b"", last=True))
            if self.path is not None:
                self._file.close()

    @property
    def size(self) -> int:
        """Bytes printed by this script so far."""
        return (self._file.seek(0, 2) if self.path is None else self.path.stat().st_size) - self._start

    def pieces(self) -> Iterator[str]:
        """Yield everything this script printed. Bytes that are not UTF-8 become U+FFFD."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self._read() as file:
            while data := file.read(PIECE):
                yield decoder.decode(data)
        yield decoder.decode(b"", final=True)

    def excerpt(self, limit: int = RESULT_LIMIT) -> tuple[str, bool]:
        """Return the text, or its beginning and end if it exceeds `limit` bytes, and whether a part was left out."""
        size = self.size
        with self._read() as file:
            if size <= limit:
                return file.read().decode("utf-8", "replace"), False
            head = file.read(limit // 4)
            file.seek(self._start + size - limit * 3 // 4)
            tail = file.read()
        left_out = size - len(head) - len(tail)
        middle = f"\n[... {left_out} bytes left out ...]\n"
        return head.decode("utf-8", "replace") + middle + tail.decode("utf-8", "replace"), True

    @contextlib.contextmanager
    def _read(self) -> Iterator[IO[bytes]]:
        with contextlib.nullcontext(self._file) if self.path is None else self.path.open("rb") as file:
            file.seek(self._start)
            yield file


class Capture:
    """Both streams of one script, in files of a directory if one is given."""

    def __init__(self, directory: Path | None, host: str, secrets: Sequence[str] = (), *, keep: bool = False) -> None:
        """Use a directory, a host, secrets to mask, and whether the files are kept after the run."""
        self.keep = keep
        self.out, self.err = (
            Stream(log_path(directory, host, stream) if directory else None, secrets) for stream in ("stdout", "stderr")
        )

    def write(self, out: bytes, err: bytes) -> None:
        """Append what is new."""
        self.out.write(out)
        self.err.write(err)

    def close(self) -> None:
        """Write what was held back, and close the files."""
        self.out.close()
        self.err.close()
