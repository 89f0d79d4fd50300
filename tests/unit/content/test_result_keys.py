"""No key of our tasks' results is a name that ansible-core gives a meaning of its own.

ansible-core 2.21 converts such values: a time under `finished` becomes True, with a warning. The keys are compared with
the list below, which was read out of ansible-core 2.18 to 2.21, and with the source of the ansible-core that is
installed, so that a new version's names are noticed. Ansible is read, not imported.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.unit.content.test_collection import BENCH, RETURN, constants

RESERVED = {
    "_internal/_task.py": {  # the fields of UnifiedTaskResult, since 2.21; before it executor/task_executor.py
        *("changed", "failed", "unreachable", "skipped", "warnings", "deprecations", "ansible_facts", "async_result"),
        *("exception", "finished", "msg", "rc", "module_stderr", "module_stdout", "attempts", "retries", "diff"),
        *("ansible_stats", "ansible_job_id", "skip_reason", "skipped_reason", "false_condition"),
        *("changed_when_result", "failed_when_result", "break_when_result", "changed_when_suppressed_exception"),
        *("failed_when_suppressed_exception", "break_when_suppressed_exception", "ansible_loop_var"),
        *("ansible_index_var", "loop_item", "loop_index", "ansible_loop", "results"),
    },
    "executor/task_executor.py": {"socket_path"},
    "executor/task_result.py": {"censored", "invocation"},
    "executor/process/worker.py": {"stdout", "stderr"},  # text, which is split into lines
    "playbook/included_file.py": {"include", "include_args"},
    "plugins/strategy/__init__.py": {"add_host", "add_group"},
    "plugins/strategy/linear.py": {"reason"},
    "plugins/action/__init__.py": {"stdout_lines", "stderr_lines", "cmd"},
    "plugins/callback/__init__.py": {"item"},
    "plugins/callback/default.py": {"started"},  # with `finished`: what it prints of an asynchronous task
    "plugins/test/core.py": {"timedout"},  # with `started`, `finished`: `when: result is finished`
}
"""Names by the file of ansible-core that gives them a meaning. What begins with `_ansible_` is reserved, too."""

MEANT = {"changed", "failed", "unreachable", "skipped", "msg", "rc", "stdout", "stderr"}
"""Those that we return in Ansible's sense, with values of its types."""

KEYS = {
    "phase": RETURN.keys() | {"changed", "failed", "unreachable", "skipped"},
    "transfer": yaml.safe_load(constants(BENCH / "plugins/modules/transfer.py")["RETURN"]).keys(),
}


@pytest.mark.smoke
@pytest.mark.parametrize("module", sorted(KEYS))
def test_no_key_is_reserved(module: str) -> None:
    reserved = {name: source for source, names in RESERVED.items() for name in names}
    assert {key: reserved[key] for key in KEYS[module] - MEANT if key in reserved} == {}
    assert not [key for key in KEYS[module] if key.startswith("_ansible_")]


@pytest.mark.smoke
@pytest.mark.parametrize("module", sorted(KEYS))
def test_the_installed_ansible_knows_none_of_our_keys(module: str) -> None:
    clashes = {name: path for path, name in _names_of_ansible() if name in KEYS[module] - MEANT}
    assert clashes == {}


@pytest.mark.smoke
def test_the_installed_ansible_is_read_where_it_judges_results() -> None:
    names = {name for _, name in _names_of_ansible()}
    assert names >= MEANT | {"started", "finished", "ansible_facts", "attempts", "diff", "exception"}


def test_our_values_have_the_types_that_ansible_wants() -> None:
    types = {key: RETURN[key]["type"] for key in MEANT & RETURN.keys()}
    assert types == {"msg": "str", "rc": "int", "stdout": "str", "stderr": "str"}


def _names_of_ansible() -> Iterator[tuple[str, str]]:
    """Yield each name that the code around a task's result looks up, tests for, or declares, with its file."""
    spec = importlib.util.find_spec("ansible")
    assert spec is not None and spec.origin is not None
    for path in RESERVED:
        file = Path(spec.origin).parent / path
        if not file.exists():
            assert path == "_internal/_task.py"  # new in 2.21
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for name in _names(node):
                yield path, name


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            yield name
        case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[ast.Constant(value=str(name)), *_]):
            yield name
        case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()]):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            yield from (item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str))
