"""YAML, JSON and JSONC files, read with the line of every key.

YAML is read as by PyYAML's SafeLoader, JSON and JSONC by `json5`, as in mlos_bench
(`mlos_bench/services/config_persistence.py`). Duplicate keys are refused in all of them: they are always a mistake,
and parsers disagree on which one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never

import json5
import yaml

from ansible_env.common import join_surrogates
from ansible_env.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]
"""The position of a value in a document: mapping keys and list indexes."""

JSON_SUFFIXES = frozenset({".json", ".jsonc", ".json5"})
TAGS = frozenset({"!vault", "!vault-encrypted", "!unsafe"})
MAX_VALUES = 100_000
"""Most values in a document with its aliases expanded. A larger one is an alias bomb, not an environment."""


@dataclass(frozen=True, slots=True)
class TaggedValue:
    """A scalar with an Ansible tag (`!vault`, `!unsafe`), which the playbook gets unchanged."""

    tag: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Document:
    """The data of a file and the positions of its keys."""

    data: Any
    path: Path
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    """Line of each key and list item, counted from 1. Empty for JSON with comments."""
    ambiguous: Mapping[KeyPath, str] = field(default_factory=dict)
    """Text of plain YAML scalars that have a surprising value: `off` (false), `0644` (420), `1:30` (90)."""

    def line(self, where: KeyPath) -> int | None:
        """Return the line of a key, or of the closest key or item that contains it."""
        for length in range(len(where), 0, -1):
            if (line := self.lines.get(where[:length])) is not None:
                return line
        return None


def key_text(where: KeyPath) -> str | None:
    """Return a path in the usual notation: `tunables.sqlite.params.cache_size.range[0]`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or None


def read_document(path: Path | str) -> Document:
    """Read a file. The suffixes .json, .jsonc and .json5 mean JSON; everything else is YAML.

    Raises:
        ConfigError: the file cannot be read, decoded or parsed. The problem has the line.
    """
    path = Path(path)
    text = _read_text(path)
    try:
        if path.suffix.lower() in JSON_SUFFIXES:
            return _read_json(text, path)
        return _read_yaml(text, path)
    except RecursionError:
        _fail(path, "is nested too deeply")


def _fail(path: Path, message: str, line: int | None = None, hint: str | None = None) -> Never:
    raise ConfigError(Problem(message, file=path, line=line, hint=hint)) from None


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        _fail(path, f"cannot be read: {error.strerror or error}")
    except ValueError:  # a NUL in the path
        raise ConfigError(f"cannot be read: {str(path)!r} is not a path") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _fail(path, "is not UTF-8 text", line, "save the file with the encoding UTF-8")


# JSON


def _read_json(text: str, path: Path) -> Document:
    if not text.strip():
        return Document(None, path)
    try:
        data = json5.loads(text, allow_duplicate_keys=False)
    except ValueError as error:
        where, message = re.fullmatch(r"(?s)(?:<string>:(\d+) )?(.*)", str(error)).groups()  # type: ignore[union-attr]
        if duplicate := re.fullmatch(r'Duplicate key "(.*)" found in object', message):
            _fail(path, f"the key {duplicate[1]!r} is given twice in one mapping")
        _fail(path, f"is not valid JSON: {message}", int(where) if where else None)
    lines: dict[KeyPath, int] = {}
    # json5 reports no positions. JSON without comments is YAML too, and PyYAML reports them.
    with suppress(yaml.YAMLError, ConfigError):
        lines = dict(_Walk(yaml.compose(text, Loader=_Loader), path).lines)
    return Document(_joined(data), path, lines)


def _joined(value: Any) -> Any:
    """Return data whose text has whole characters: json5 reads an escaped surrogate pair as two halves."""
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, dict):
        return {_joined(key): _joined(item) for key, item in value.items()}
    return [*map(_joined, value)] if isinstance(value, list) else value


# YAML

_YAML_HINTS = {
    "found character '\\t'": "indent with spaces",
    "cannot start any token": "quote the text",
    "mapping values are not allowed here": "text with ': ' must be quoted, or be a block after '|'",
    "single document": "a file holds one environment; remove the second '---'",
}


class _Loader(yaml.SafeLoader):
    """SafeLoader with Ansible's tags, and with JSON's escapes: `json.dumps` writes an emoji as a surrogate pair."""

    def scan_flow_scalar(self, style: str) -> yaml.ScalarToken:
        """Return the token of a quoted text."""
        token: yaml.ScalarToken = super().scan_flow_scalar(style)
        token.value = join_surrogates(token.value)
        return token


def _construct_tagged(loader: yaml.SafeLoader, node: yaml.Node) -> TaggedValue:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} is for text only", node.start_mark)
    return TaggedValue(node.tag, str(loader.construct_scalar(node)))


for _tag in TAGS:
    _Loader.add_constructor(_tag, _construct_tagged)


def _read_yaml(text: str, path: Path) -> Document:
    try:
        # Inside the try block: the constructor reads the text already and refuses control characters.
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(None, path)
            walk = _Walk(node, path)
            if walk.problems:
                raise ConfigError(walk.problems)
            return Document(loader.construct_document(node), path, walk.lines, walk.ambiguous)
        finally:
            loader.dispose()
    except ConfigError:
        raise
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        _fail(path, f"has the character {error.character:#x}, which YAML does not allow", line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        plain = re.sub(r"could not determine a constructor for the tag '(.*?)'", r"unknown tag \1", what)
        hint = next((hint for text, hint in _YAML_HINTS.items() if text in what), None)
        _fail(path, f"is not valid YAML: {plain}", mark.line + 1 if mark else None, hint)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: for example an impossible date
        _fail(path, f"is not valid YAML: {error}")


class _Walk:
    """One pass over the nodes of a document: positions, duplicate keys, ambiguous scalars."""

    def __init__(self, root: yaml.Node | None, path: Path) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.ambiguous: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self._path = path
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        if root is not None and self._visit(root, ()) > MAX_VALUES:
            _fail(path, f"has more than {MAX_VALUES} values once its aliases are expanded")

    def _visit(self, node: yaml.Node, where: KeyPath) -> int:
        """Return the number of values in the node. An aliased node is visited once, but counted each time."""
        if id(node) in self._open:
            _fail(self._path, "has an alias to a value inside itself", node.start_mark.line + 1)
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        self._open.add(id(node))
        size = 1
        for key, child, mark in self._children(node):
            self.lines.setdefault((*where, key), mark.line + 1)
            size += self._visit(child, (*where, key))
        if isinstance(node, yaml.ScalarNode) and node.style is None and _is_ambiguous(node):
            self.ambiguous[where] = node.value
        self._open.discard(id(node))
        self._sizes[id(node)] = size
        return size

    def _children(self, node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node, yaml.Mark]]:
        if isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                yield index, child, child.start_mark
        elif isinstance(node, yaml.MappingNode):
            seen: set[tuple[str, str]] = set()
            for key, child in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else "?"
                if isinstance(key, yaml.ScalarNode):
                    if (key.tag, name) in seen:
                        message = f"the key {name!r} is given twice in one mapping"
                        self.problems.append(Problem(message, file=self._path, line=key.start_mark.line + 1))
                    seen.add((key.tag, name))
                yield name, child, key.start_mark


def _is_ambiguous(node: yaml.ScalarNode) -> bool:
    """Whether YAML 1.1 gives a plain scalar a value that most people do not expect."""
    text = node.value
    if node.tag == "tag:yaml.org,2002:bool":
        return text.lower() not in {"true", "false"}
    if node.tag in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}:
        return ":" in text or re.fullmatch(r"[-+]?0[0-7_]+", text) is not None
    return False
