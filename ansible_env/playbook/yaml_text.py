"""Data to YAML that Ansible reads, with what it must not template marked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ansible_env.config.model import TaggedValue


class Unsafe(str):
    """A string that Ansible must not template."""

    __slots__ = ()


def unsafe(value: Any) -> Any:
    """Mark every string in a value as not to be templated."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, Mapping):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [unsafe(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """Return an author's task as he wrote it, as data that may be changed and dumped."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def one_line(text: str) -> str:
    """Return a name that templating leaves alone: names of plays are templated, and cannot be marked unsafe."""
    return " ".join(re.sub(r"[^\w .,:;/@+()-]", " ", text).split())


def to_yaml(data: Any) -> str:
    """Return plays, tasks or variables as YAML that Ansible reads, with what is unsafe marked."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=10_000)
    return text


class _Dumper(yaml.SafeDumper):
    """Block style for scripts, `!unsafe` tags, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


# In a block scalar YAML would fold these line breaks into "\n"; white space at a line's end is lost to many editors.
_NOT_IN_BLOCK = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[ \t]\n"
)


def _style(text: str) -> str | None:
    if "\n" in text and text.strip() and not text.startswith((" ", "\t", "\n")) and not _NOT_IN_BLOCK.search(text):
        return "|"
    # Double quotes are the one style that escapes; plain text needs none of that.
    return '"' if _NOT_IN_BLOCK.search(text) or "\n" in text else None


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=_style(text))


# What Ansible may take for a template: its delimiters, and a header that declares other ones
# (ansible/template, JINJA2_OVERRIDE).
_TEMPLATE = re.compile(r"\{[{%#]|#jinja2")


def _represent_unsafe(dumper: yaml.SafeDumper, text: Unsafe) -> yaml.Node:
    if not _TEMPLATE.search(text):  # the mark only where it matters: a playbook is there to be read
        return _represent_str(dumper, str(text))
    return dumper.represent_scalar("!unsafe", str(text), style=_style(text) or '"')


def _represent_tagged(dumper: yaml.SafeDumper, value: TaggedValue) -> yaml.Node:
    return dumper.represent_scalar(value.tag, value.value, style="|" if "\n" in value.value else '"')


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(Unsafe, _represent_unsafe)
_Dumper.add_representer(TaggedValue, _represent_tagged)
