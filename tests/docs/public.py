"""Every public name has to be in the reference of the Python API, and has to have a docstring."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import griffe

from tests.docs.blocks import ROOT

PAGE = ROOT / "docs" / "reference" / "python.md"
MODULES = ("ansible_env", "ansible_env.mlos", "ansible_env.testing")
_REFERENCE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def faults(root: Path = ROOT, page: Path = PAGE, modules: Sequence[str] = MODULES) -> list[str]:
    """Return what is wrong, a line for each name."""
    package = griffe.load(modules[0], search_paths=[root], resolve_aliases=True)
    listed = {_definition(package, path) for path in _REFERENCE.findall(page.read_text(encoding="utf-8"))}
    return [fault for module in modules for fault in _faults_of(package, module, listed)]


def _definition(package: griffe.Object, path: str) -> str:
    """Return the path under which a name is defined; nothing if there is no such name."""
    try:
        return str(package[path.removeprefix(f"{package.name}.")].canonical_path)
    except (KeyError, griffe.AliasResolutionError):
        return ""


def _faults_of(package: griffe.Object, module: str, listed: set[str]) -> Iterator[str]:
    home = package if module == package.name else package[module.removeprefix(f"{package.name}.")]
    names = [str(name).strip("'\"") for name in home.exports or ()]
    if not names:
        yield f"{module}: has no __all__"
    for name in names:
        if not name.startswith("__"):
            item = home[name]
            if item.canonical_path not in listed:
                yield f"{module}.{name}: is not in the reference"
            yield from (f"{module}.{path}: has no docstring" for path in _undocumented(item, name))


def _undocumented(item: griffe.Object | griffe.Alias, path: str) -> Iterator[str]:
    """Yield the name if it has no docstring, and such methods and properties of a class of ours."""
    if not item.has_docstring and (item.is_class or item.is_function or "property" in item.labels):
        yield path
    for name, member in item.all_members.items() if item.is_class else ():
        ours = member.canonical_path.startswith(f"{item.package.name}.")
        if ours and not name.startswith("_") and not member.is_class:
            yield from _undocumented(member, f"{path}.{name}")
