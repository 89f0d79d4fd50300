"""The two forms of an environment file, converted to one.

Our own form is flat: all keys are at the top. The form of mlos_bench is
`{class, name, config: {…}, include_tunables: […]}` (`mlos_bench/config/schemas/environments/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_env.common import get_logger
from ansible_env.config.documents import Document, KeyPath, key_text, read_document
from ansible_env.config.faults import Fault
from ansible_env.config.text import kind_of, nearest
from ansible_env.config.tunables import TunableGroups, parse_groups
from ansible_env.errors import ConfigError, Problem

_log = get_logger("ansible_env")

MLOS_CLASSES = (
    "mlos_bench.environments.RemoteEnv",
    "mlos_bench.environments.remote.RemoteEnv",
    "mlos_bench.environments.remote.remote_env.RemoteEnv",
    "ansible_env.mlos.AnsibleEnv",
)
MLOS_KEYS = ("class", "name", "description", "config", "include_tunables", "include_services", "$schema")
FLAT_EXTRA_KEYS = ("include_tunables", "include_services", "$schema")
"""Keys of a flat file that are not fields of the configuration."""


@dataclass
class Form:
    """The fields of an environment file in either form."""

    mlos: bool
    fields: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Faults with paths in the file."""
    problems: list[Problem] = field(default_factory=list)
    """Problems in other files that this one includes."""
    top: frozenset[str] = frozenset()
    """Fields of an mlos_bench file that are beside `config`, not in it."""

    def path(self, where: KeyPath) -> KeyPath:
        """Convert a path that begins with a field to the path in the file."""
        return ("config", *where) if self.mlos and where and where[0] not in self.top else where


def read_form(data: Mapping[Any, Any], base_dir: Path, known: Iterable[str]) -> Form:
    """Read the fields, whose names are `known`.

    The files of `include_tunables`, relative to `base_dir`, become the field `tunables`.
    """
    form = Form(mlos="class" in data)
    extra = dict(data)
    if form.mlos:
        _read_mlos(form, data, set(known))
    else:
        form.fields = {key: value for key, value in data.items() if key not in FLAT_EXTRA_KEYS}
        if "config" in data:
            form.fields.pop("config")
            what = "belongs to the mlos_bench form, which has the key 'class' as well"
            form.faults.append((("config",), what, "without 'class', put its keys at the top"))
    for key in [key for key in form.fields if not isinstance(key, str)]:
        form.faults.append((form.path((str(key),)), f"a key must be text, not {kind_of(key)}", "quote it"))
        del form.fields[key]
    if extra.get("include_services"):
        _log.warning("include_services is ignored: ansible_env reaches hosts through Ansible, not through services")
    if "$schema" in extra and not isinstance(extra["$schema"], str):
        form.faults.append((("$schema",), f"must be text, not {kind_of(extra['$schema'])}", None))
    if "include_tunables" in extra:
        _include(form, extra["include_tunables"], base_dir)
    return form


def _read_mlos(form: Form, data: Mapping[Any, Any], known: set[str]) -> None:
    name = data["class"]
    if name not in MLOS_CLASSES:
        what = f"the class {name!r} is not supported; ansible_env runs {MLOS_CLASSES[1]} and {MLOS_CLASSES[3]}"
        form.faults.append((("class",), what, nearest(name, MLOS_CLASSES)))
        form.fields = {"name": "-"}  # another class has other keys: report nothing more
        return
    for key in data:
        if key not in MLOS_KEYS:
            hint = f"{key!r} goes into 'config'" if key in known else nearest(key, MLOS_KEYS)
            form.faults.append(((str(key),), "unknown key", hint))
    config = data.get("config", {})
    if not isinstance(config, Mapping):
        form.faults.append((("config",), f"must be a mapping, not {kind_of(config)}", None))
        config = {}
    form.top = frozenset({"name", "description"})
    # A file of mlos_bench selects no tunables by default.
    form.fields = {"tunable_params": [], **config}
    for key in form.top:
        if key in config:
            form.fields.pop(key)
            form.faults.append((("config", key), f"{key!r} goes beside 'config', not into it", None))
        if key in data:
            form.fields[key] = data[key]


# include_tunables


def _include(form: Form, paths: Any, base_dir: Path) -> None:
    """Read files of tunables and merge them with the file's own."""
    where: KeyPath = ("include_tunables",)
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list | tuple) or not all(isinstance(path, str) and path for path in paths):
        form.faults.append((where, f"must be a list of files, not {kind_of(paths)}", None))
        return
    merged = TunableGroups()
    for index, name in enumerate(paths):
        included = next(_candidates(name, base_dir), None)
        if included is None:
            what = f"there is no file {name!r} in {base_dir} or in a folder above it"
            form.faults.append(((*where, index), what, None))
            continue
        try:
            merged = merged.merge(_read_tunables(included))
        except ConfigError as error:
            form.problems += error.problems
    own = form.fields.get("tunables")
    if isinstance(own, Mapping):
        groups, faults = parse_groups(own)
        if faults:
            return  # validation of the field reports all of them
        try:
            merged = merged.merge(groups)
        except ConfigError as error:
            form.problems += error.problems
    if own is None or isinstance(own, Mapping):
        form.fields["tunables"] = merged


def _candidates(name: str, base_dir: Path) -> Iterator[Path]:
    """Yield the possible paths of a file: beside the environment file, or in a folder above it.

    mlos_bench has a search path, usually the root of a tree of configurations. Its files name others relative to that
    (`environments/apps/redis/redis-tunables.jsonc`).
    """
    folders: Iterable[Path] = [base_dir, *base_dir.absolute().parents]
    return (path for folder in folders if (path := folder / name).is_file())


def _read_tunables(path: Path) -> TunableGroups:
    document = read_document(path)
    if not isinstance(document.data, Mapping):
        raise ConfigError(Problem(f"must be a mapping of groups, not {kind_of(document.data)}", file=path))
    groups, faults = parse_groups(document.data)
    faults += list(ambiguous_faults(document, ()))
    if faults:
        raise ConfigError([Problem(what, key_text(at), path, document.line(at), hint) for at, what, hint in faults])
    return groups


def ambiguous_faults(document: Document, root: KeyPath) -> Iterator[Fault]:
    """Yield the values under `root` to which YAML gives a surprising value: `off`, `0644`, `1:30`.

    The scripts would get `False`, `420` and `90`.
    """
    for where, text in document.ambiguous.items():
        if where[: len(root)] == root and "log" not in where[len(root) :][-1:]:
            value: Any = document.data
            try:
                for part in where:
                    value = value[part]
            except (KeyError, IndexError, TypeError):
                continue  # under a merge key
            plain = str(value).lower() if isinstance(value, bool) else str(value)
            yield where, f"YAML reads {text} as {value!r}", f"write {text!r} in quotes, or {plain}"
