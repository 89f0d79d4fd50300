"""What is read of tasks that add hosts; tests/integration has the rest."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_env.results.fold.added_hosts import added_hosts, inventory_of, is_censored
from ansible_env.testing import phase_event, task_event


def event(res: Any, action: str = "ansible.builtin.add_host", **fields: Any) -> dict[str, Any]:
    return task_event("h", action=action, res=res, **fields)


def added(name: str, *groups: str, **variables: Any) -> dict[str, Any]:
    return {"changed": True, "add_host": {"host_name": name, "groups": list(groups), "host_vars": variables}}


def test_one_host_and_those_of_a_loop():
    loop = {"results": [added("b", "db", "all"), {"skipped": True, **added("x")}, added("c", port=1)]}
    found = added_hosts([event(added("a", "db", port=2)), event(loop, "add_host")])
    assert [(host.name, host.groups, host.variables) for host in found] == [
        ("a", ("db",), {"port": 2}),
        ("b", ("db",), {}),
        ("c", (), {"port": 1}),
    ]
    assert inventory_of(found) == {
        "all": {
            "hosts": {"a": {"port": 2}, "b": {}, "c": {"port": 1}},
            "children": {"db": {"hosts": {"a": None, "b": None}}},
        }
    }


def test_the_last_word_counts():
    first, last = ({**event(added("a", port=n)), "counter": n} for n in (1, 2))
    assert [host.variables for host in added_hosts([last, first])] == [{"port": 2}]


@pytest.mark.parametrize(
    "nothing",
    [
        event(added("a"), "ansible.builtin.command"),
        {**event(added("a")), "event": "runner_on_failed"},
        event({"add_host": {"host_name": 3}}),
        event({"add_host": "a"}),
        event(None),
        {"event": "runner_on_ok", "event_data": "x"},
        phase_event("h"),
    ],
)
def test_what_adds_none(nothing):
    assert added_hosts([nothing]) == ()
    assert not is_censored(nothing)


def test_values_are_no_templates_and_secrets_are_not_written_down():
    (host,) = added_hosts([event(added("a", x="{{ 1 }}", y=["{% x %}", "z"], ansible_password="pw", n=1))])
    variables = inventory_of([host])["all"]["hosts"]["a"]
    assert variables["x"] == {"__ansible_unsafe": "{{ 1 }}"}
    assert variables["y"] == [{"__ansible_unsafe": "{% x %}"}, "z"]
    assert list(host.secrets) == ["pw"]
    assert host.without_secrets()["variables"] == {"x": "{{ 1 }}", "y": ["{% x %}", "z"], "n": 1}
    assert "pw" not in repr(host)


def test_a_task_that_says_nothing():
    assert is_censored(event({"censored": "the output has been hidden"}))
    assert not is_censored(event({"censored": "x"}, "ansible.builtin.command"))
