"""The environment file as it was used, with secrets masked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from ansible_env.config.documents import TaggedValue, read_document
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import MASK
from ansible_env.errors import ConfigError

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
        data = json.loads(config.model_dump_json(exclude_defaults=True, fallback=str))
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
