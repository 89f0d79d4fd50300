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

from ansible_env.common import __version__
from ansible_env.config.model import EnvironmentConfig
from ansible_env.storage.bundle.source import environment_text
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
        "results_stdout_pattern", "results_json", "required_metrics",
        "success", "max_unreachable", "aggregate", "per_host_metrics",
    }
)  # fmt: skip


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
