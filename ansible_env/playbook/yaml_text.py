"""YAML for Ansible, with the text marked that Ansible must not template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ansible_env.config.documents import TaggedValue


class Unsafe(str):
    """A string that Ansible must not template."""

    __slots__ = ()


def unsafe(value: Any) -> Any:
    """Mark every string in a value as one that Ansible must not template."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, Mapping):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [unsafe(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """Copy an author's task to plain mappings and lists, which may be changed and dumped."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def one_line(text: str) -> str:
    """Return a name without template syntax: Ansible templates the names of plays, which cannot be marked unsafe."""
    return " ".join(re.sub(r"[^\w .,:;/@+()-]", " ", text).split())


def to_yaml(data: Any) -> str:
    """Return plays, tasks or variables as YAML for Ansible, with unsafe text marked."""
    text: str = yaml.dump(
        data, Dumper=_PlaybookDumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=10_000
    )
    return text


class _PlaybookDumper(yaml.SafeDumper):
    """Block style for scripts, `!unsafe` tags, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


# YAML would change these line breaks in a block scalar to "\n", and many editors remove trailing white space.
_NOT_IN_BLOCK = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[ \t]\n"
)


def _style(text: str) -> str | None:
    if "\n" in text and text.strip() and not text.startswith((" ", "\t", "\n")) and not _NOT_IN_BLOCK.search(text):
        return "|"
    # Double quotes are the only style with escapes.
    return '"' if _NOT_IN_BLOCK.search(text) or "\n" in text else None


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=_style(text))


# Possible templates: Ansible's delimiters, and a header that declares other ones
# (ansible/template, JINJA2_OVERRIDE).
_TEMPLATE = re.compile(r"\{[{%#]|#jinja2")


def _represent_unsafe(dumper: yaml.SafeDumper, text: Unsafe) -> yaml.Node:
    if not _TEMPLATE.search(text):  # marked only where needed: people read playbooks
        return _represent_str(dumper, str(text))
    return dumper.represent_scalar("!unsafe", str(text), style=_style(text) or '"')


def _represent_tagged(dumper: yaml.SafeDumper, value: TaggedValue) -> yaml.Node:
    return dumper.represent_scalar(value.tag, value.value, style="|" if "\n" in value.value else '"')


_PlaybookDumper.add_representer(str, _represent_str)
_PlaybookDumper.add_representer(Unsafe, _represent_unsafe)
_PlaybookDumper.add_representer(TaggedValue, _represent_tagged)
