"""The origin of a result: the programs that produced it, and the version of the environment file."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from ansible_env.common import __version__
from ansible_env.config.documents import TaggedValue, read_document
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError
from ansible_env.results.masking import MASK
from ansible_env.storage.fingerprint import of_this_machine


@dataclass(frozen=True, slots=True)
class Origin:
    """The common origin of all trials of an environment, determined once, when it is loaded."""

    environment: str
    """Its name."""
    source: Path | None
    file: str
    """Name of the environment file in the bundle."""
    text: str
    versions: Mapping[str, str]
    git: Mapping[str, Any] | None
    controller: Mapping[str, Any] = field(default_factory=dict)
    """Properties of the controller."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    """The rules that turn output into metrics. A bundle keeps them so that `replay` can apply them again."""

    @classmethod
    def of(cls, config: EnvironmentConfig) -> Self:
        """Return the origin of results of an environment."""
        file, text = environment_text(config)
        git = git_state(config.source.absolute()) if config.source else None
        return cls(config.name, config.source, file, text, versions(), git, of_this_machine(), rules_of(config))


RULES = frozenset(
    {
        "results_stdout_pattern", "results_json", "metrics", "results_file", "required_metrics", "valid",
        "success", "max_unreachable", "aggregate", "per_host_metrics",
    }
)  # fmt: skip


def content_of(config: EnvironmentConfig) -> dict[str, Any]:
    """Return the keys of an environment file that are not defaults, with secrets masked."""
    data = json.loads(config.model_dump_json(exclude_defaults=True, fallback=str))
    masked: dict[str, Any] = _masked(data, config.secret_names)
    return masked


def rules_of(config: EnvironmentConfig) -> dict[str, Any]:
    """Return the keys of an environment file that determine its metrics."""
    rules: dict[str, Any] = json.loads(config.model_dump_json(include=set(RULES)))
    return {name: value for name, value in rules.items() if value is not None}


GIT_TIMEOUT = 10
"""Longest time for git in seconds. A work tree on a network may hang."""


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions of the programs that produce a result."""
    versions = {"ansible_env": __version__, "python": python_version()}
    for name in ("ansible-core", "ansible-runner"):
        try:
            versions[name.replace("-", "_")] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a copy on the path, without metadata
            continue
    return versions


def git_state(file: Path) -> dict[str, Any] | None:
    """Return the commit of a file's work tree, and the changed files beside it; None without git or a work tree."""
    head = _git(file.parent, "rev-parse", "HEAD", "--show-toplevel", "--show-prefix")
    if head is None:
        return None
    commit, _, prefix = [*head.splitlines(), "", "", ""][:3]
    changed = _git(file.parent, "status", "--porcelain", "--", ".")
    return {
        "commit": commit,
        "branch": (_git(file.parent, "symbolic-ref", "--short", "-q", "HEAD") or "").strip() or None,
        "path": f"{prefix}{file.name}",
        "changed": changed.splitlines() if changed is not None else None,
        "remote": _without_password(_git(file.parent, "config", "--get", "remote.origin.url")),
    }


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _without_password(url: str | None) -> str | None:
    """Return a remote without the password or token that it may contain."""
    if not url or not url.strip():
        return None
    url = url.strip()
    parts = urlsplit(url) if "://" in url else None
    if parts is None or "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


# The environment file as it was used, with secrets masked

_NOTE = "# Rewritten from {source} without comments: it contains secrets, which are masked here.\n"


def environment_text(config: EnvironmentConfig) -> tuple[str, str]:
    """Return the name and the text of an environment file for a bundle.

    The text is that of the file. If there is no file, or it contains the value of a secret, the text is generated.
    """
    source, secret, note = config.source, config.secret_names, ""
    data: Any = None
    if source is not None:
        try:
            data = read_document(source).data
            if not secret or _masked(data, secret) == data:
                return f"environment{source.suffix}", source.read_text(encoding="utf-8")
            note = _NOTE.format(source=source.name)
        except (OSError, ValueError, ConfigError):  # the file was removed or changed
            data = None
    if data is None:
        data = content_of(config)
    return "environment.yml", note + yaml.dump(_masked(data, secret), Dumper=_FileDumper, sort_keys=False)


class _FileDumper(yaml.SafeDumper):
    pass


_FileDumper.add_representer(TaggedValue, lambda dumper, value: dumper.represent_scalar(value.tag, value.value))


def _masked(data: Any, secret: frozenset[str], place: str = "") -> Any:
    """Return the data with the values of secrets masked, under any key with a secret's name."""
    if isinstance(data, Mapping):
        return {
            key: MASK
            if key in secret and place != "secret_params" and not isinstance(value, Mapping)
            else _masked(value, secret, str(key))
            for key, value in data.items()
        }
    return [_masked(item, secret, place) for item in data] if isinstance(data, list | tuple) else data
