"""Files that a script has written: the controller fetches them piece by piece, over the connection of the task."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ansible_env.results.file_patterns import bundle_path
from ansible_env.results.metrics.results_file import MOST_BYTES
from ansible_env.supervisor.capture import Masker
from ansible_env.supervisor.file_payloads import (
    MOST_FILES,
    PIECE,
    Entry,
    Part,
    list_payload,
    parse_entries,
    parse_parts,
    parts_payload,
)
from ansible_env.supervisor.kept_files import KeptFiles
from ansible_env.supervisor.protocol import ReplyError
from ansible_env.supervisor.transport import ANSWER, Disconnected, Stop, Transport

_T = TypeVar("_T")

MIB = 2**20
LIMIT = 100
"""Mebibytes from one host, by default."""
TRIES = 5
"""How often a round trip is tried while connections break."""
NAMED = 5
"""Most files that a note names."""
MOST_NAMES = 100_000
"""Most characters of the names of all files, which are in the result."""

_FAULTS = {
    "missing": "there is no file",
    "directory": "directories, not files",
    "special": "not files",
    "unreadable": "not allowed to read",
    "many": f"more than {MOST_FILES} files",
}


class _ChangedError(Exception):
    """A file has become shorter while it was fetched."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is collected from a host."""

    patterns: Sequence[str] = ()
    results_file: str | None = None
    """A file with metrics. It is kept like the others."""
    limit: int = LIMIT
    """Most mebibytes of all files. What does not fit is left out as a whole."""

    def __bool__(self) -> bool:
        return bool(self.patterns or self.results_file)

    @property
    def seconds(self) -> int:
        """The longest time that it may take."""
        return 30 + self.limit if self else 0


@dataclass(slots=True)
class Collection:
    """What has been collected from a host."""

    directory: Path | None = None
    """Where the files are."""
    files: list[str] = field(default_factory=list)
    """Their relative paths."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""
    results: bytes | None = None
    """The content of the file with metrics."""
    problem: str = "it was not collected"
    """Why there is no content."""
    broken: bool = False
    """Whether the connection broke before the content was there."""


@dataclass(slots=True)
class _File:
    """A file to fetch."""

    entry: Entry
    path: str | None
    """Where it is kept; None if it is not."""
    memory: bytearray | None
    """What it contains, if that is wanted."""

    def parts(self) -> Iterator[Part]:
        size, name = self.entry.size, self.entry.name
        for begin in range(0, size, PIECE):
            yield Part(name, begin // PIECE, min(PIECE, size - begin), is_last=begin + PIECE >= size)


class Collector:
    """Collects files from one host."""

    def __init__(
        self,
        transport: Transport,
        wanted: Wanted,
        directory: Path | None,
        secrets: Sequence[str] = (),
        start: str = "",
        extend: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        """Use a transport, and a directory for the files; without one, only the file with metrics is fetched.

        Args:
            transport: leads to the target.
            wanted: what is collected.
            directory: the directory for the files.
            secrets: what is masked in them.
            start: the shell text that changes to the directory of relative paths.
            extend: is called with the seconds that collecting may take.
        """
        self.wanted = wanted
        self._extend = extend
        self.collection = Collection(directory)
        self._transport = transport
        self._secrets = secrets
        self._start = start
        self._kept = KeptFiles(directory) if directory is not None else None
        self._left = wanted.limit * MIB
        self._names = MOST_NAMES
        self._omitted: dict[str, list[str]] = {}
        """Files that were left out, or are doubtful, by the reason."""

    def collect(self, run_directory: str = "") -> Collection:
        """Fetch the files, and return what is there. What prevents that is in the notes, and changes nothing else.

        `run_directory` is that of the script. It shows which files are older than the script.
        """
        collection, patterns, files = self.collection, self.wanted.patterns, self.wanted.results_file
        if not self.wanted:
            return collection
        self._extend(self.wanted.seconds)
        if patterns and self._kept is None:
            collection.notes.append("no files were collected: there is no directory for the logs of this run")
            patterns = ()
        try:
            payload = list_payload
            entries = self._ask(lambda n: payload(n, files, patterns, run_directory, self._start), parse_entries)
            self._fetch(list(self._selected(entries)))
        except (Disconnected, ReplyError) as broken:
            collection.broken = collection.results is None
            self._end(f"the connection broke ({broken})")
        except Stop:
            self._end("the phase was ended")
        if self._kept is not None:
            self._kept.drop()
            if self._kept.problem:
                collection.notes.append(f"not all files were collected: {self._kept.problem}")
        for why, names in self._omitted.items():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            collection.notes.append(f"{why}: {', '.join(names[:NAMED])}{more}")
        return collection

    def _end(self, why: str) -> None:
        self.collection.notes.append(f"not all files were collected: {why}")
        if self.collection.results is None:
            self.collection.problem = f"{why} before it was collected"

    def _ask(self, payload: Callable[[str], str], parse: Callable[[bytes, str], _T]) -> _T:
        """Send a payload, again if the connection breaks, and read the reply."""
        for number in range(1, TRIES + 1):
            nonce = uuid.uuid4().hex
            try:
                return parse(self._transport.exchange(payload(nonce), ANSWER), nonce)
            except (Disconnected, ReplyError):
                if number == TRIES:
                    raise
            self._transport.pause(0.2 * 2**number)
        raise AssertionError

    def _selected(self, entries: Iterable[Entry]) -> Iterator[_File]:
        """Yield the files to fetch. Note what is left out, and what may be from an earlier run."""
        seen: set[str] = set()
        for entry in entries:
            if entry.name in seen:
                continue
            seen.add(entry.name)
            memory = None
            if entry.number == 0:
                self.collection.problem = _problem(entry)
                memory = None if self.collection.problem else bytearray()
            if entry.what != "file":
                self._omit(_FAULTS.get(entry.what, "not files"), entry.name)
                continue
            if entry.older:
                self._omit("older than the script", entry.name)
            path = self._place(entry)
            if path is not None or memory is not None:
                yield _File(entry, path, memory)

    def _place(self, entry: Entry) -> str | None:
        """Return the place for a file, or None if it is left out."""
        if self._kept is None or self._kept.problem:
            return None
        path = bundle_path(Masker(self._secrets).feed(_bytes(entry.name), last=True).decode("utf-8", "surrogateescape"))
        if path is None or len(path) > self._names or not self._kept.claim(path):
            self._omit("not collected, because of the name", entry.name)
        elif entry.size > self._left:
            limit = f"{self.wanted.limit} MiB (collect_limit_mib)"
            self._omit(f"not collected, because the limit of {limit} is reached", entry.name)
        else:
            self._left -= entry.size
            self._names -= len(path)
            return path
        return None

    def _fetch(self, files: Sequence[_File]) -> None:
        """Fetch the contents: several small files in a round trip, large ones in several round trips."""
        batch: list[_File] = []
        for file in files:
            if file.entry.content is not None:
                self._store(file, [file.entry.content])
                continue
            if batch and sum(each.entry.size for each in (*batch, file)) > PIECE:
                self._fetch_batch(batch)
                batch = []
            batch.append(file)
        self._fetch_batch(batch)

    def _fetch_batch(self, batch: Sequence[_File]) -> None:
        if len(batch) == 1:
            self._store(batch[0], (piece for part in batch[0].parts() for piece in self._pieces([part])))
        elif batch:
            pieces = self._pieces([part for file in batch for part in file.parts()])
            for file, piece in zip(batch, pieces, strict=True):
                self._store(file, [piece])

    def _pieces(self, parts: Sequence[Part]) -> list[bytes | None]:
        return self._ask(
            lambda nonce: parts_payload(nonce, parts, self._start),
            lambda data, nonce: list(parse_parts(data, nonce, parts)),
        )

    def _store(self, file: _File, pieces: Iterable[bytes | None]) -> None:
        """Keep a file, with secrets masked. Nothing of an incomplete one is kept."""
        kept = self._kept if file.path is not None else None
        if file.memory is None and (kept is None or kept.problem):
            return
        try:
            for data in self._masked(pieces):
                if file.memory is not None:
                    file.memory.extend(data)
                if kept is not None:
                    kept.write(data)
        except _ChangedError:
            self._omit("not collected, because it changed meanwhile", file.entry.name)
            if file.memory is not None:
                self.collection.problem = "it changed while it was collected"
            if kept is not None:
                kept.drop()
            return
        if file.memory is not None:
            self.collection.results = bytes(file.memory)
        if kept is not None and file.path is not None and kept.finish(file.path):
            self.collection.files.append(file.path)

    def _masked(self, pieces: Iterable[bytes | None]) -> Iterator[bytes]:
        masker = Masker(self._secrets)
        for piece in pieces:
            if piece is None:
                raise _ChangedError
            yield masker.feed(piece)
        yield masker.feed(b"", last=True)

    def _omit(self, why: str, name: str) -> None:
        shown = Masker(self._secrets).feed(_bytes(name.removeprefix("./")), last=True).decode("utf-8", "replace")
        self._omitted.setdefault(why, []).append(shown if len(shown) <= 100 else f"{shown[:100]}…")


def _problem(entry: Entry) -> str:
    """Return why a file cannot have the metrics of a script, or an empty text."""
    if entry.what != "file":
        return {"missing": "there is no such file", "unreadable": "it cannot be read"}.get(entry.what, "it is no file")
    if entry.older:
        return "it is older than the script, which has not written it"
    if entry.size > MOST_BYTES:
        return f"it has {entry.size} bytes, more than {MOST_BYTES // MIB} MiB"
    return ""


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
