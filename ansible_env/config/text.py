"""Rules for text and names that a shell gets, and descriptions of values for messages."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_env.config.documents import KeyPath, TaggedValue

_INVALID = re.compile(r"[^a-zA-Z0-9_]")
_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

# Read-only, or set by the shell itself. Determined by starting bash 5.2, dash 0.5.12 and busybox 1.35 with each name in
# the environment and reading it back; UID and EUID are read-only by bash's manual.
# fmt: off
RESERVED_NAMES = frozenset({
    "_", "BASH", "BASHOPTS", "BASHPID", "BASH_ARGV0", "BASH_COMMAND", "BASH_EXECUTION_STRING",
    "BASH_SUBSHELL", "BASH_VERSINFO", "BASH_VERSION", "COMP_WORDBREAKS", "EPOCHREALTIME", "EPOCHSECONDS",
    "EUID", "HISTCMD", "IFS", "LINENO", "OLDPWD", "OPTERR", "OPTIND", "PPID", "PS1", "PS2", "PS4", "PWD",
    "RANDOM", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID",
})
# fmt: on


def clean_env_name(name: str) -> str:
    """Return the environment variable for a parameter (`mlos_bench/environments/script_env.py`)."""
    return _INVALID.sub("_", name)


def env_name_fault(name: str) -> str | None:
    """Return what is wrong with the name of an environment variable, or None.

    A name is code on the target. It must be an identifier of ASCII letters, digits and `_`, and the shell must not
    change its value.
    """
    if not _IDENTIFIER.fullmatch(name):
        return f"{name!r} is not an environment variable's name: use letters, digits and '_', and no digit first"
    if name in RESERVED_NAMES:
        return f"{name!r} cannot be exported: the shell sets this variable itself"
    return None


# Ansible itself sets these for each task (ansible/vars/manager.py and ansible/executor/task_executor.py).
_MAGIC = frozenset({
    "environment", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
    "inventory_hostname_short", "item", "omit", "play_hosts", "playbook_dir", "role_name", "role_names", "role_path",
    "vars",
})  # fmt: skip


def variable_name_fault(name: str) -> str | None:
    """Return what is wrong with the name of an Ansible variable, or None."""
    if not _IDENTIFIER.fullmatch(name) or keyword.iskeyword(name):
        return f"{name!r} is not an Ansible variable's name: use letters, digits and '_', and no digit first"
    if name.startswith("ansible_") or name in _MAGIC:
        return f"{name!r} cannot name a variable of your own: Ansible uses this name"
    return None


def text_fault(text: str) -> str | None:
    """Return why no script or environment variable can hold a text, or None. The result never contains the text."""
    if "\0" in text:
        return "has a NUL character, which no script or environment variable can hold"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is not a character and cannot be encoded as UTF-8"
    return None


def text_faults(value: Any, where: KeyPath = ()) -> Iterator[tuple[KeyPath, str, str | None]]:
    """Yield a fault for each text in nested data, including keys, that no script or environment variable can hold."""
    if isinstance(value, str | TaggedValue):
        if fault := text_fault(value.value if isinstance(value, TaggedValue) else value):
            yield where, fault, None
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str) and (fault := text_fault(key)):
                yield where, f"a key {fault}", None
            else:
                yield from text_faults(item, (*where, key if isinstance(key, str) else repr(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from text_faults(item, (*where, index))


def nearest(name: object, names: Iterable[str]) -> str | None:
    """Return the hint `did you mean …?` with the most similar name, or None."""
    known = {known.lower(): known for known in sorted(set(names), reverse=True)}
    matches = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.6)
    return f"did you mean {known[matches[0]]!r}?" if matches else None


def kind_of(value: Any) -> str:
    """Return the type of a value in the words of YAML."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, TaggedValue):
        return f"a {value.tag} value"
    return f"a {type(value).__name__}"
