"""Parameters and environment variables. Tables marked so were observed by running mlos_bench 0.6.2."""

from __future__ import annotations

import json
import string
import subprocess
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.config.checks import known_names
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import (
    check,
    check_names,
    public,
    resolve,
    selected_groups,
)
from ansible_env.config.shell_env import MAX_ENV_BYTES, Secret, ShellEnv, secret_values, shell_env
from ansible_env.errors import ConfigError, ParameterError
from ansible_env.results.masking import MASK
from tests.unit.config.test_tunables import MlosTunableGroups

TUNABLES: dict[str, Any] = {
    "g": {"cost": 1, "params": {"cache": {"type": "int", "range": [1, 10], "default": 2}}},
    "h": {"cost": 1, "params": {"mode": {"type": "categorical", "values": ["a", True, 1], "default": True}}},
}


def config(**fields: Any) -> EnvironmentConfig:
    return EnvironmentConfig.from_mapping({"name": "x"} | fields)


def values(fields: dict[str, Any], globals_: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    return resolve(config(**fields), global_config=globals_, **kwargs)


@pytest.mark.parametrize(
    ("const_args", "globals_", "expected"),
    [
        ({"c": "K", "b": "$c/y", "a": "$b/x"}, None, {"c": "K", "b": "K/y", "a": "K/y/x"}),
        # A later argument is not expanded yet when an earlier one refers to it; a global in it still is.
        ({"a": "$b/x", "b": "$c/y", "c": "K"}, None, {"a": "$c/y/x", "b": "K/y", "c": "K"}),
        ({"a": "$b/x", "b": "$c/y"}, {"c": "C"}, {"a": "C/y/x", "b": "C/y"}),
        ({"a": "$nope/${HOME}"}, {"z": 1}, {"a": "$nope/${HOME}"}),
        ({"a": "$$x $$$$x"}, {"x": 1}, {"a": "1 $x"}),
        ({"a": "$$x $$$$x"}, None, {"a": "$x $$x"}),
        ({"a": "$ ${ $1 ${x"}, {"x": 1}, {"a": "$ ${ $1 ${x"}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2}),
        (
            {"l": ["$a", 1, None, True], "a": "A", "s": "<$l>"},
            None,
            {"l": ["A", 1, None, True], "a": "A", "s": "<['A', 1, None, True]>"},
        ),
        ({"a": "q"}, {"a": "$b$$", "b": "B"}, {"a": "$b$$"}),
        ({"y": "abc", "a": "$x$y"}, {"x": "X"}, {"y": "abc", "a": "$xabc"}),
    ],
)
def test_const_args(const_args, globals_, expected):
    """Observed on mlos_bench 0.6.2 (ScriptEnv constructor, then setup)."""
    assert values({"const_args": const_args}, globals_) == expected


def mlos_expand(const_args: dict[str, Any], globals_: dict[str, Any]) -> dict[str, Any]:
    """`DictTemplater(const_args).expand_vars(extra_source_dict=globals_)`, from mlos_bench 0.6.2."""
    expanded = deepcopy(const_args)

    def one(value: Any) -> Any:
        if isinstance(value, str):
            value = string.Template(value).safe_substitute(expanded)
            return string.Template(value).safe_substitute(globals_) if globals_ else value
        return [one(item) for item in value] if isinstance(value, list) else value

    for name in expanded:
        expanded[name] = one(expanded[name])
    return expanded


_names = st.sampled_from(["a", "b", "c", "d", "x"])
_templates = st.lists(
    st.one_of(_names.map("${{{}}}".format), st.sampled_from(["$$", "$", "/", "é", "{{ a }}", "${", "}", " "])),
    max_size=6,
).map("".join)
_const = st.dictionaries(_names, st.one_of(_templates, st.lists(_templates, max_size=2), st.integers(), st.none()))


@given(_const, st.dictionaries(st.sampled_from(["p", "q", "d2"]), st.text("AB{} ", max_size=3)))
def test_the_text_of_a_file_expands_as_in_mlos_bench(const_args, globals_):
    assert values({"const_args": const_args}, globals_) == mlos_expand(const_args, globals_)


@given(_const, st.dictionaries(_names, st.text("AB{} /", min_size=1, max_size=3), min_size=1))
def test_globals_expand_as_in_mlos_bench(const_args, globals_):
    merged = {name: globals_.get(name, value) for name, value in const_args.items()}
    expected = mlos_expand(merged, globals_)
    if "$" not in "".join(map(str, globals_.values())):
        assert values({"const_args": const_args}, globals_) == expected


@given(st.text("$ab{}x "), st.sampled_from(["$v", "${v}", "<$v>", "$v/$v"]))
def test_a_value_from_outside_is_never_a_template(value, template):
    """Issue 3: no value is ever templated; mlos_bench would read the value again as a template."""
    fields = {"const_args": {"before": template, "a": "A", "b": "B"}, "required_args": ["v"]}
    params = values(fields, {"v": value, "x": "X"})
    assert params["v"] == value
    assert params["before"] == template.replace("${v}", "$v").replace("$v", value)


def test_required_arguments():
    """Observed on mlos_bench 0.6.2."""
    fields = {"const_args": {"p": "/d/$vm"}, "required_args": ["vm"]}
    assert values(fields, {"vm": "H"}) == {"p": "/d/H", "vm": "H"}


def test_missing_arguments_are_all_named_with_the_way_to_give_them():
    with pytest.raises(ParameterError) as caught:
        values({"required_args": ["vm", "b", "size"], "const_args": {"b": 1}})
    assert [p.key for p in caught.value.problems] == ["vm", "size"]
    assert "-p vm=VALUE" in str(caught.value)
    assert "global_config={'vm': …}" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "globals_", "tunable_values", "expected"),
    [
        ({"tunable_params": ["g"], "const_args": {"cache": 99}, "required_args": ["cache"]}, None, None, {"cache": 2}),
        ({"tunable_params": ["g"]}, None, {"cache": "7"}, {"cache": 7}),
        ({"tunable_params": ["g"], "const_args": {"s": "$cache"}}, None, None, {"cache": 2, "s": "$cache"}),
        ({"tunable_params": ["g"]}, {"cache": 9}, {"cache": 7}, {"cache": 9}),
        ({"tunable_params": []}, None, None, {}),
        ({"tunable_params": ["$all"]}, {"tunable_params_map": {"all": ["g", "h"]}}, None, {"cache": 2, "mode": "True"}),
        ({"tunable_params": ["$all"]}, {"tunable_params_map": {"all": "g"}}, {"cache": "7"}, {"cache": 7}),
        # Ours: without tunable_params, all groups of the file; values of groups that are not selected are ignored.
        ({}, None, {"mode": 1}, {"cache": 2, "mode": "1"}),
        ({"tunable_params": ["g"]}, None, {"mode": 1}, {"cache": 2}),
    ],
)
def test_tunables(fields, globals_, tunable_values, expected):
    """Observed on mlos_bench 0.6.2, but for the last two."""
    assert values(fields | {"tunables": TUNABLES}, globals_, tunable_values=tunable_values) == expected


@pytest.mark.parametrize(
    ("globals_", "tunable_values", "match"),
    [
        (None, {"cache": 11}, "cache: 11 is not a whole number from 1 to 10"),
        ({"cache": 11}, None, "cache: 11 is not a whole number from 1 to 10"),
        (None, {"cachee": 1}, "cachee: there is no tunable of this name .*did you mean 'cache'"),
    ],
)
def test_bad_tunable_values(globals_, tunable_values, match):
    with pytest.raises(ParameterError, match=match):
        values({"tunables": TUNABLES}, globals_, tunable_values=tunable_values)


def test_tunables_from_outside():
    fields = {"tunable_params": ["g"]}
    assert values(fields, tunables=TUNABLES) == {"cache": 2}
    assert values({"tunable_params": ["sqlite"]}, tunables=MlosTunableGroups()) == {"cache_size": 7}
    assert values({"tunable_params": ["sqlite"]}, tunables=MlosTunableGroups(), tunable_values={}) == {"cache_size": 1}
    with pytest.raises(ParameterError, match="no group of tunables 'g'"):
        values(fields)
    with pytest.raises(ParameterError, match="'tunable_params_map' lists no groups under 'al'"):
        values({"tunable_params": ["$al"]}, {"tunable_params_map": {"all": ["g"]}}, tunables=TUNABLES)


@pytest.mark.smoke
def test_composed_values_are_expanded_afresh_for_each_trial():
    """In mlos_bench `/d/$experiment_id/$trial_id` stays that of the first trial."""
    env = config(const_args={"dir": "/d/$experiment_id/$trial_id", "trial_id": 0}, experiment_id="E")
    found = [resolve(env, trial={"trial_id": n})["dir"] for n in (1, 2)]
    found.append(resolve(env, global_config={"trial_id": 3, "experiment_id": "F"})["dir"])
    found.append(resolve(env, global_config={"trial_id": 3}, trial={"trial_id": 4})["dir"])
    assert found == ["/d/E/1", "/d/E/2", "/d/F/3", "/d/E/4"]


def test_the_names_of_a_trial_are_always_parameters():
    assert resolve(config(), global_config={"experiment_id": "E", "other": 1}, trial={"trial_id": 7}) == {
        "experiment_id": "E",
        "trial_id": 7,
    }
    with pytest.raises(ParameterError, match=r"trial: does not name a trial"):
        resolve(config(), trial={"trial": 7})


def test_neither_the_configuration_nor_the_globals_change():
    """mlos_bench mutates const_args in place."""
    env = config(const_args={"a": "$b", "l": ["$b"]})
    globals_ = {"b": "B", "a": ["x"]}
    params = resolve(env, global_config=globals_)
    params["l"].append("more")  # type: ignore[union-attr]
    params["a"].append("more")  # type: ignore[union-attr]
    assert env.const_args == {"a": "$b", "l": ["$b"]}
    assert globals_ == {"b": "B", "a": ["x"]}


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], {1}, b"x", [{"a": 1}]])
def test_values_that_no_script_can_get(value):
    with pytest.raises(ParameterError, match=r"^a: must be text, a number"):
        values({"const_args": {"a": 1}}, {"a": value})
    assert values({"const_args": {"b": "$a"}}, {"a": value}) == {"b": "$a"}, "not a parameter here, so ignored"


# Environment variables


def exported(fields: dict[str, Any], globals_: dict[str, Any] | None = None) -> ShellEnv:
    env = config(**fields)
    return shell_env(env, resolve(env, global_config=globals_))


@pytest.mark.smoke
def test_only_the_named_parameters_are_exported_as_str():
    """Observed on mlos_bench 0.6.2 (`ScriptEnv._get_env_params`)."""
    fields = {
        "const_args": {"a-b": True, "n": None, "f": 1e-5, "i": 10, "l": ["a", 1, None, True], "hidden": 1},
        "shell_env_params": ["a-b", "n", "f", "i", "l"],
        "shell_env_params_rename": {"ZZ": "n"},
    }
    assert exported(fields) == ShellEnv(
        {"a_b": "True", "n": "None", "f": "1e-05", "i": "10", "l": "['a', 1, None, True]", "ZZ": "None"}, {}
    )
    assert exported({"const_args": {"a": 1}}) == ShellEnv({}, {})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_arrives_as_it_was_given(value):
    fields = {"required_args": ["v"], "shell_env_params": ["v"]}
    assert exported(fields, {"v": value}).plain == {"v": value}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hunter2\0", "has a NUL"),
        ("hunter2\ud800", "half of a surrogate pair"),
        ("hunter2" + "x" * MAX_ENV_BYTES, "bytes too long"),
        ("é" * (MAX_ENV_BYTES // 2), "is 3 bytes too long"),
    ],
)
@pytest.mark.parametrize("secret", [[], ["v"]])
def test_values_that_no_variable_can_hold(value, message, secret):
    fields = {"required_args": ["v"], "shell_env_params": ["v"], "secret_params": secret}
    with pytest.raises(ParameterError, match=message) as caught:
        exported(fields, {"v": value})
    assert "hunter2" not in str(caught.value)


def test_the_longest_value_that_execve_takes():
    fields = {"required_args": ["v"], "shell_env_params": ["v"]}
    longest = MAX_ENV_BYTES - len("v=") - 1
    env = exported(fields, {"v": "x" * longest})
    subprocess.run(["/bin/true"], env=env.plain, check=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true"], env={"v": "x" * (longest + 1)}, check=True)
    with pytest.raises(ParameterError, match="is 1 bytes too long"):
        exported(fields, {"v": "x" * (longest + 1)})


def test_a_trial_name_without_a_trial():
    with pytest.raises(ParameterError, match="no parameter 'trial_id' to export"):
        exported({"shell_env_params": ["trial_id"]})


# Secrets


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    (tmp_path / "pw").write_text("from a file\n\n")
    monkeypatch.setenv("PW", "from the environment")
    data = {
        "name": "x",
        "const_args": {"url": "db://$by_env@h", "plain": "p"},
        "secret_params": {"by_env": {"env": "PW"}, "by_file": {"file": "pw"}, "given": None, "url": None},
        "shell_env_params": ["by_env", "by_file", "given", "url", "plain"],
        "shell_env_params_rename": {"AGAIN": "by_file"},
    }
    return EnvironmentConfig.from_mapping(data, source=tmp_path / "e.yml")


def test_secrets(secrets):
    params = resolve(secrets, global_config={"given": 12345})
    env = shell_env(secrets, params)
    assert env.plain == {"plain": "p"}
    assert env.secret == {
        "by_env": "from the environment",
        "by_file": "from a file\n",
        "AGAIN": "from a file\n",
        "given": "12345",
        "url": "db://from the environment@h",
    }
    assert {type(value) for value in env.secret.values()} == {str}
    for text in (repr(env), str(env), repr(params), f"{params}", str(public(secrets, params))):
        assert "from " not in text
        assert "12345" not in text
    assert public(secrets, params) == dict.fromkeys(["by_env", "by_file", "given", "url"], MASK) | {"plain": "p"}


def test_secret_values(secrets):
    found = secret_values(secrets)
    assert found == {"by_env": "from the environment", "by_file": "from a file\n"}
    assert all(isinstance(value, Secret) for value in found.values())


def test_a_global_stands_in_for_a_secret_s_source(secrets, monkeypatch):
    monkeypatch.delenv("PW")
    assert resolve(secrets, global_config={"given": 1, "by_env": "$other"})["by_env"] == "$other"


def test_secrets_that_are_missing(secrets, monkeypatch, tmp_path):
    monkeypatch.delenv("PW")
    (tmp_path / "pw").write_bytes(b"hunter2 \xff")
    with pytest.raises(ParameterError) as caught:
        resolve(secrets)
    assert {p.key for p in caught.value.problems} == {"secret_params.by_env", "secret_params.by_file", "given"}
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None
    (tmp_path / "pw").unlink()
    with pytest.raises(ParameterError, match="pw cannot be read: No such file"):
        secret_values(secrets)


def test_only_explicit_conversion_shows_a_secret():
    secret = Secret("hunter2")
    assert secret == "hunter2"
    assert "hunter2" not in repr([secret, {"a": secret}])
    assert json.dumps({"a": str(secret)}) == '{"a": "hunter2"}'


# Before a trial


def test_check_passes_what_can_run(secrets):
    check(secrets, {"given": 1})
    check(config(tunables=TUNABLES, shell_env_params=["cache", "trial_id", "experiment_id", "trial_runner_id"]))
    check(config(tunable_params=["g"], shell_env_params=["cache"]), tunables=TUNABLES)


@pytest.mark.parametrize(
    ("fields", "globals_", "match"),
    [
        ({"required_args": ["a"]}, {}, "a: the required argument is missing"),
        ({"tunable_params": ["g"], "shell_env_params": ["cach"]}, {}, "no parameter 'cach'.*did you mean 'cache'"),
        ({"tunable_params": ["nope"]}, {}, "no group of tunables 'nope'"),
        ({"const_args": {"a": 1}, "shell_env_params": ["a"]}, {"a": "\0"}, "has a NUL"),
    ],
)
def test_check_refuses_before_a_trial(fields, globals_, match):
    with pytest.raises(ParameterError, match=match):
        check(config(**fields), globals_, TUNABLES)


def test_check_reports_everything():
    fields = {"tunable_params": ["g"], "shell_env_params": ["nope"], "required_args": ["a"]}
    with pytest.raises(ParameterError) as caught:
        check(config(**fields), {}, TUNABLES)
    assert {p.key for p in caught.value.problems} == {"shell_env_params[0]", "a"}


def test_names():
    env = config(const_args={"c": 1}, required_args=["r"], secret_params=["s"], tunables=TUNABLES, tunable_params=["g"])
    groups = selected_groups(env)
    assert known_names(env, groups) == {"c", "r", "s", "cache", "experiment_id", "trial_id", "trial_runner_id"}
    check_names(env, groups)


def test_a_bad_definition_from_outside_is_refused():
    with pytest.raises(ConfigError, match="'cost' is missing"):
        check(config(tunable_params=["g"]), {}, {"g": {"params": TUNABLES["g"]["params"]}})
