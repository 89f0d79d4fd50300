"""The collection's page, its version and its place in a distribution agree with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import ansible_env
from ansible_env.results.outcomes import Kind

ROOT = Path(__file__).resolve().parents[3]
BENCH = ROOT / "ansible_env/content/ansible_collections/ansible_env/bench"
COLLECTION = "ansible_collections.ansible_env.bench"


def constants(path: Path) -> dict[str, Any]:
    """The literals that a module assigns, read without importing it."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


PAGE = constants(BENCH / "plugins/modules/phase.py")
DOCUMENTATION = yaml.safe_load(PAGE["DOCUMENTATION"])
RETURN = yaml.safe_load(PAGE["RETURN"])
ARGUMENTS = constants(BENCH / "plugins/action/phase.py")["ARGUMENTS"]


def test_page_has_the_options_of_the_plugin() -> None:
    assert DOCUMENTATION["options"].keys() == ARGUMENTS.keys()


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_option_is_as_in_the_plugin(name: str) -> None:
    option = DOCUMENTATION["options"][name]
    documented = {key: option[key] for key in ("type", "elements", "default", "choices", "required") if key in option}
    assert documented == {key: value for key, value in ARGUMENTS[name].items() if key != "no_log"}


def test_page_has_every_returned_value() -> None:
    tree = ast.parse((ROOT / "ansible_env/supervisor/report.py").read_text(encoding="utf-8"))
    keys = _keys(tree)
    keys |= {node.slice.value for node in ast.walk(tree) if isinstance(node, ast.Subscript) and _is_name(node.slice)}
    plugin = ast.parse((BENCH / "plugins/action/phase.py").read_text(encoding="utf-8"))
    keys |= {key for node in ast.walk(plugin) if isinstance(node, ast.Return) for key in _keys(node)}
    common = {"changed", "failed", "unreachable", "skipped"}  # of every module
    assert RETURN.keys() == keys - common


def _keys(tree: ast.AST) -> set[str]:
    return {key.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys if _is_name(key)}


def _is_name(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_page_names_every_kind() -> None:
    named = set(re.findall(r"V\((\w+)\)", " ".join(RETURN["kind"]["description"])))
    assert {str(kind) for kind in Kind} - {"task", "not_run"} <= named  # those two come of other tasks and of no task


def test_examples_are_tasks_of_the_module() -> None:
    def tasks(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [task for item in items for task in [item, *tasks(item.get("block", []) + item.get("always", []))]]

    ours = [
        task["ansible_env.bench.phase"]
        for task in tasks(yaml.safe_load(PAGE["EXAMPLES"]))
        if "ansible_env.bench.phase" in task
    ]
    assert len(ours) >= 3
    for arguments in ours:
        assert arguments.keys() <= ARGUMENTS.keys()


def test_versions_agree() -> None:
    galaxy = yaml.safe_load((BENCH / "galaxy.yml").read_text(encoding="utf-8"))
    assert galaxy["version"] == ansible_env.__version__
    core = next(
        line
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
        if line.startswith("ansible-core")
    )
    requires = yaml.safe_load((BENCH / "meta/runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    assert requires.removeprefix(">=").removesuffix(".0") in core


def test_no_package_files_in_the_collection() -> None:
    assert not list((ROOT / "ansible_env/content").rglob("__init__.py"))


def test_gpl_files_say_so() -> None:
    for path in (BENCH / "plugins").rglob("*.py"):
        assert "SPDX-License-Identifier: GPL-3.0-or-later" in path.read_text(encoding="utf-8"), path


PLUGINS = [path for kind in ("lookup", "callback") for path in sorted((BENCH / "plugins" / kind).glob("*.py"))]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_plugins_have_a_page(path: Path) -> None:
    page = yaml.safe_load(constants(path)["DOCUMENTATION"])
    assert page["name"] == path.stem
    assert page["version_added"]
    assert "EXAMPLES" in constants(path)


def test_each_filter_has_a_page() -> None:
    source = (BENCH / "plugins/filter/bench.py").read_text(encoding="utf-8")
    names = set(re.findall(r"@_filter\ndef (\w+)", source))
    pages = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in BENCH.glob("plugins/filter/*.yml")}
    assert pages.keys() == names
    for name, page in pages.items():
        assert page["DOCUMENTATION"]["name"] == name
        assert {"EXAMPLES", "RETURN"} <= page.keys()


def test_the_roles_arguments_have_the_defaults_that_they_say() -> None:
    role = BENCH / "roles/environment"
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    assert {name: option["default"] for name, option in options.items() if "default" in option} == defaults


# What the collection needs of the library

ABOVE = ("ansible_env.cli", "ansible_env.mlos", "ansible_env.testing")
PLUGINS = sorted((BENCH / "plugins").rglob("*.py"))


def _imported(tree: ast.AST) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_plugin_imports_nothing_of_the_layers_above(path: Path) -> None:
    names = _imported(ast.parse(path.read_text(encoding="utf-8")))
    assert not [name for name in names if f"{name}.".startswith(tuple(f"{above}." for above in ABOVE))]


def test_plugins_load_nothing_of_the_command() -> None:
    modules = [".".join(path.relative_to(BENCH.parents[2]).with_suffix("").parts) for path in PLUGINS]
    code = f"""
import importlib, sys
sys.path.insert(0, {str(BENCH.parents[2])!r})
for name in {modules}:
    importlib.import_module(name)
print(importlib.import_module("{COLLECTION}.plugins.callback.results").LIBRARY_ERROR)
print([name for name in sys.modules if name.startswith({(*ABOVE, "typer", "rich")})])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["None", "[]"], done.stderr


def test_descriptions_are_texts() -> None:
    """A colon in one makes it a mapping, which ansible-doc refuses."""
    pages = [
        DOCUMENTATION["options"],
        RETURN,
        *(yaml.safe_load(p.read_text()) for p in BENCH.glob("plugins/filter/*.yml")),
    ]
    items = [
        item
        for page in pages
        for field in page.values()
        if isinstance(field, dict)
        for item in field.get("description", ())
    ]
    assert items and all(isinstance(item, str) for item in items)
