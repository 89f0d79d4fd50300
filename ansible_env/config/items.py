"""The items of a phase: shell lines, Ansible tasks, and short forms for existing content.

`role: NAME`, `tasks: FILE` and `import_playbook: FILE` become their equivalents in a playbook. The first two become
imports, so that Ansible reports mistakes in them before it connects to a host, or includes if they have a loop or a
template. https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_reuse.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_env.config.documents import KeyPath
from ansible_env.config.faults import Fault
from ansible_env.config.text import kind_of, nearest

SHORT_FORMS = ("role", "tasks", "import_playbook")
_FULL_NAME = "ansible.builtin.import_playbook"
_ROLE_OPTIONS = (
    "tasks_from", "vars_from", "defaults_from", "handlers_from", "allow_duplicates", "public", "rolespec_validate",
)  # fmt: skip
_OF_INCLUDE = (
    "name", "when", "vars", "loop", "loop_control", "register", "run_once", "tags", "ignore_errors", "no_log",
)  # fmt: skip
"""Keywords that apply to an include itself. The others apply to its tasks, through `apply`
(ansible/playbook/task_include.py, VALID_INCLUDE_KEYWORDS)."""
_TO_ITS_TASKS = (
    "become", "become_user", "become_method", "become_flags", "become_exe", "check_mode", "diff", "delegate_to",
    "delegate_facts", "environment", "any_errors_fatal", "ignore_unreachable", "module_defaults", "remote_user",
    "connection", "throttle", "timeout", "collections", "notify",
)  # fmt: skip
_KEYS = {
    "role": ("role", *_ROLE_OPTIONS, *_OF_INCLUDE, *_TO_ITS_TASKS),
    "tasks": ("tasks", *_OF_INCLUDE, *_TO_ITS_TASKS),
    "import_playbook": ("import_playbook", "name", "vars", "when", "tags"),
}
_MORE_TASKS = re.compile(r"(ansible\.(builtin|legacy)\.)?(import|include)_(role|tasks)\Z")
_COLLECTION_PLAYBOOK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){2,}\Z")


def _form(item: Mapping[str, Any]) -> str | None:
    """Return the short form of an item, or None for an Ansible task."""
    if _FULL_NAME in item:
        return "import_playbook"
    return next((form for form in SHORT_FORMS if form in item), None)


def _normal(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"import_playbook" if key == _FULL_NAME else key: value for key, value in item.items()}


def is_import(item: Any) -> bool:
    """Whether an item imports a playbook."""
    return isinstance(item, Mapping) and _form(item) == "import_playbook"


def is_opaque(item: Any) -> bool:
    """Whether an item may add handlers or phase tasks: existing content, or a task that notifies a handler."""
    if not isinstance(item, Mapping):
        return False
    return _form(item) is not None or _holds_more(item)


def _holds_more(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(
            key in ("notify", "ansible_env.bench.phase") or _MORE_TASKS.match(key) or _holds_more(inner)
            for key, inner in value.items()
        )
    return isinstance(value, list | tuple) and any(map(_holds_more, value))


def item_faults(item: Mapping[Any, Any]) -> Iterator[Fault]:
    """Yield the faults of a short form, and of text that YAML has made a mapping of."""
    if len(item) == 1 and isinstance(key := next(iter(item)), str) and len(key.split()) > 1:
        yield (key,), "is no Ansible module", "quote the script, or write it as a block after '|': it contains ': '"
        return
    if not all(isinstance(key, str) for key in item) or (form := _form(item)) is None:
        return
    item = _normal(item)
    value = item[form]
    if not isinstance(value, str) or not value:
        wanted = "a role's name" if form == "role" else "a file's name"
        yield (form,), f"must be {wanted} (text), not {kind_of(value)}", None
    for key in item:
        if key in _KEYS[form] or key.startswith("with_"):
            continue
        other = next((name for name in SHORT_FORMS if name == key), None)
        what = f"{form!r} and {other!r} are separate items" if other else f"unknown key for an item with {form!r}"
        hint = "begin another item with '-'" if other else nearest(key, _KEYS[form]) or "variables belong to 'vars'"
        yield (key,), what, hint
    if "vars" in item and not isinstance(item["vars"], Mapping):
        yield ("vars",), f"must be a mapping, not {kind_of(item['vars'])}", None


def path_faults(fields: Mapping[str, Any], phases: tuple[str, ...], base_dir: Path) -> Iterator[Fault]:
    """Yield the files that items name and that do not exist."""
    for phase in phases:
        items = fields.get(phase)
        for index, item in enumerate(items if isinstance(items, list | tuple) else [items]):
            if not isinstance(item, Mapping) or sum(form in item for form in SHORT_FORMS) > 1:
                continue
            where: KeyPath = (phase, index) if isinstance(items, list | tuple) else (phase,)
            for key in ("tasks", "import_playbook", _FULL_NAME):
                name = item.get(key)
                if isinstance(name, str) and name and not _is_elsewhere(key, name) and not (base_dir / name).is_file():
                    yield (*where, key), f"there is no file {name!r} in {base_dir.absolute()}", None


def _is_elsewhere(key: str, name: str) -> bool:
    """Whether only Ansible can locate the file: the name is a template or is in a collection."""
    in_collection = _COLLECTION_PLAYBOOK.match(name) and not name.endswith((".yml", ".yaml"))
    return "{{" in name or (key != "tasks" and bool(in_collection))


def import_dirs(items: tuple[Any, ...], base_dir: Path) -> tuple[Path, ...]:
    """Return the other directories that playbooks are imported from. Playbooks may use files beside them."""
    directories: dict[Path, None] = {}
    for item in items:
        if is_import(item):
            name = _normal(item)["import_playbook"]
            if not _is_elsewhere("import_playbook", name):
                directories[(base_dir.absolute() / name).resolve().parent] = None
    return tuple(path for path in directories if path != base_dir.resolve())


def item_task(item: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Return the playbook's equivalent of an item: a task or the import of a playbook.

    File names become absolute, since the playbook is in another directory.
    """
    form = _form(item)
    if form is None:
        return dict(item)
    item = _normal(item)
    value = str(item[form])
    rest = {key: inner for key, inner in item.items() if key not in (form, "name", *_ROLE_OPTIONS)}
    name = {"name": item.get("name") or _default_name(form, value)}
    if form == "import_playbook":
        return {**name, _FULL_NAME: value if _is_elsewhere(form, value) else str(base_dir.absolute() / value), **rest}
    dynamic = "{{" in value or "loop" in item or any(key.startswith("with_") for key in item)
    kind = "role" if form == "role" else "tasks"
    if form == "role":
        arguments = {"name": value, **{key: item[key] for key in _ROLE_OPTIONS if key in item}}
    else:
        arguments = {"file": value if "{{" in value else str(base_dir.absolute() / value)}
    if not dynamic:
        return {**name, f"ansible.builtin.import_{kind}": arguments, **rest}
    apply = {key: inner for key, inner in rest.items() if key in _TO_ITS_TASKS or key == "tags"}
    own = {key: inner for key, inner in rest.items() if key not in _TO_ITS_TASKS}
    return {**name, f"ansible.builtin.include_{kind}": arguments | ({"apply": apply} if apply else {}), **own}


def _default_name(form: str, value: str) -> str:
    if "{{" in value:  # names are templated, too
        return {"role": "Templated role", "tasks": "Templated tasks", "import_playbook": "Templated playbook"}[form]
    return {"role": f"Role {value}", "tasks": f"Tasks of {value}", "import_playbook": f"Playbook {value}"}[form]
