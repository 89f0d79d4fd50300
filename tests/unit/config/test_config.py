"""The environment file: what loads, what is refused, and how well the refusal says where and why."""

from __future__ import annotations

import json
import logging
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.config.documents import JSON_SUFFIXES, TaggedValue, read_document
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.schema import json_schema
from ansible_env.config.text import RESERVED_NAMES, clean_env_name, env_name_fault
from ansible_env.config.times import Timeouts
from ansible_env.errors import ConfigError, Problem

TUNABLES = {"sqlite": {"cost": 1, "params": {"cache_size": {"type": "int", "range": [1, 100], "default": 10}}}}


def write(folder: Path, text: str | bytes, name: str = "environment.yml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(folder: Path, text: str | bytes, name: str = "environment.yml") -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        EnvironmentConfig.load(write(folder, text, name))
    return list(caught.value.problems)


def problems(**fields: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        EnvironmentConfig.from_mapping({"name": "x"} | fields)
    return list(caught.value.problems)


def only(found: list[Problem]) -> Problem:
    assert len(found) == 1, found
    return found[0]


def load(**fields: Any) -> EnvironmentConfig:
    return EnvironmentConfig.from_mapping({"name": "x"} | fields)


# Forms and formats

FLAT = """
name: sqlite
hosts: db
setup:
  - mkdir -p /tmp/x
  - name: Install it
    ansible.builtin.apt: {name: sqlite3, state: present}
run: |
  first line
  second line
const_args: {path: /tmp/x, list: [1, a]}
required_args: [size]
tunables:
  sqlite:
    cost: 1
    params:
      cache_size: {type: int, range: [1, 100], default: 10, special: [-1]}
shell_env_params: [path, cache_size, trial_id]
shell_env_params_rename: {SIZE: size}
results_stdout_pattern: '(\\w+)=(\\S+)'
required_metrics: [score]
timeouts: {run: 1h30m, boot: null, grace: 2}
"""


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["e.json", "e.yml"])
def test_emoji_as_json_dumps_escapes_it(tmp_path: Path, name: str) -> None:
    text = "fast \N{ROCKET}"
    data = {"name": text, "hosts": "all", "run": [f"echo {text}"], "const_args": {"a\N{ROCKET}": [text]}}
    config = EnvironmentConfig.load(write(tmp_path, json.dumps(data), name))
    assert (config.name, config.const_args) == (text, {"a\N{ROCKET}": [text]})
    assert config.run == (f"echo {text}",)
    data["name"] = "half \ud83d"
    assert "half of a surrogate pair" in str(refused(tmp_path, json.dumps(data), name))


def test_flat_form(tmp_path):
    path = write(tmp_path, FLAT)
    config = EnvironmentConfig.load(path)
    assert config.run == ("first line\nsecond line\n",)
    assert config.setup == (
        "mkdir -p /tmp/x",
        {"name": "Install it", "ansible.builtin.apt": {"name": "sqlite3", "state": "present"}},
    )
    assert config.phases == ("setup", "run")
    assert config.const_args == {"path": "/tmp/x", "list": [1, "a"]}
    assert config.tunables.tunables["cache_size"].special == (-1,)
    assert (config.timeouts.run, config.timeouts.boot, config.timeouts.grace) == (5400.0, None, 2.0)
    assert (config.source, config.base_dir) == (path, tmp_path)


def test_defaults():
    config = load()
    assert (config.hosts, config.shell, config.keep_running, config.reboot) == ("all", "bash", ("setup",), ())
    assert config.timeouts == Timeouts(setup=3600.0, run=3600.0, teardown=3600.0, boot=600.0, grace=5.0)
    assert (config.tunable_params, config.phases, config.source) == (None, (), None)
    assert not (config.fail_fast or config.become or config.wait_boot or config.results_json or config.gather_facts)


MLOS = """
// A file for mlos_bench.
{
    "$schema": "https://example.org/schemas/environments/environment-schema.json",
    "class": "mlos_bench.environments.remote.RemoteEnv",
    "name": "Redis",
    "include_services": ["services/ssh.jsonc"],
    "include_tunables": ["tunables.jsonc"],
    "config": {
        "tunable_params": ["$redis"],
        "required_args": ["vmName", "mountPoint"],
        "const_args": {"port": 6379, "flag": true, "nothing": null, "list": ["a", 1]},
        "shell_env_params": ["mountPoint", "trial_id"],
        "wait_boot": true,
        "setup": ["$mountPoint/setup.sh"],
        "run": ["a", "b"],  // a comment
        "results_stdout_pattern": "(\\\\w+),([0-9.]+)",
    },
}
"""


def test_mlos_form_loads_unchanged(tmp_path, caplog):
    write(tmp_path, json.dumps(TUNABLES), "tunables.jsonc")
    with caplog.at_level(logging.WARNING, "ansible_env"):
        config = EnvironmentConfig.load(write(tmp_path, MLOS, "env.jsonc"))
    assert (config.name, config.tunable_params, config.wait_boot) == ("Redis", ("$redis",), True)
    assert config.const_args == {"port": 6379, "flag": True, "nothing": None, "list": ["a", 1]}
    assert list(config.tunables.groups) == ["sqlite"]
    assert config.setup == ("$mountPoint/setup.sh",), "script text is not templated"
    assert "include_services is ignored" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "mlos_bench.environments.RemoteEnv",
        "mlos_bench.environments.remote.RemoteEnv",
        "mlos_bench.environments.remote.remote_env.RemoteEnv",
        "ansible_env.mlos.AnsibleEnv",
    ],
)
def test_mlos_classes(name):
    config = EnvironmentConfig.from_mapping({"class": name, "name": "x", "config": {"run": ["true"]}})
    assert config.run == ("true",)
    assert config.tunable_params == (), "a file of mlos_bench selects no groups unless it says so"


@pytest.mark.parametrize("name", ["mlos_bench.environments.LocalEnv", "mlos_bench.environments.CompositeEnv", None])
def test_other_classes_are_refused(name):
    with pytest.raises(ConfigError) as caught:
        EnvironmentConfig.from_mapping({"class": name, "name": "x", "config": {"upload": []}})
    problem = only(list(caught.value.problems))
    assert problem.key == "class"
    assert "is not supported; ansible_env runs mlos_bench.environments.remote.RemoteEnv and" in problem.message


def test_mlos_form_keys_in_the_wrong_place():
    data = {"class": "ansible_env.mlos.AnsibleEnv", "name": "x", "run": ["a"], "nam": 1, "config": {"name": "y"}}
    with pytest.raises(ConfigError) as caught:
        EnvironmentConfig.from_mapping(data)
    assert {(p.key, p.hint) for p in caught.value.problems} == {
        ("run", "'run' goes into 'config'"),
        ("nam", "did you mean 'name'?"),
        ("config.name", None),
    }


def test_config_without_class():
    problem = only(problems(config={"run": ["a"]}))
    assert problem.key == "config"
    assert "'class'" in problem.message


def test_mlos_paths_name_config(tmp_path):
    text = '{"class": "ansible_env.mlos.AnsibleEnv",\n "name": "x",\n "config": {\n  "setup": ["a",\n   7]}}'
    problem = only(refused(tmp_path, text, "env.json"))
    assert (problem.key, problem.line) == ("config.setup[1]", 5)


def test_the_name_given_wins():
    assert EnvironmentConfig.from_mapping({"run": "a"}, name="given").name == "given"
    assert EnvironmentConfig.from_mapping({"name": "own"}, name="given").name == "given"


def test_included_tunables_are_found_above_the_file_and_merged(tmp_path):
    """mlos_bench has a search path; its files name others from the root of a tree."""
    folder = tmp_path / "environments" / "apps"
    folder.mkdir(parents=True)
    write(tmp_path / "environments", json.dumps(TUNABLES), "t.jsonc")
    text = (
        "name: x\ninclude_tunables: environments/t.jsonc\n"
        "tunables: {own: {cost: 0, params: {b: {type: float, range: [0, 1], default: 0}}}}"
    )
    config = EnvironmentConfig.load(write(folder, text))
    assert set(config.tunables.groups) == {"sqlite", "own"}


def test_problems_in_included_files_name_that_file(tmp_path):
    write(tmp_path, "g:\n  cost: 1\n  params:\n    t: {type: int, range: [0, 1], default: 7}\n", "t.yml")
    write(tmp_path, "[1]", "list.json")
    found = refused(tmp_path, "name: x\ncolour: 1\ninclude_tunables: [t.yml, list.json, nowhere.yml]")
    assert {(p.file and p.file.name, p.line, p.key) for p in found} == {
        ("environment.yml", 2, "colour"),
        ("environment.yml", 3, "include_tunables[2]"),
        ("t.yml", 4, "g.params.t.default"),
        ("list.json", None, None),
    }


@pytest.mark.smoke
def test_yaml_and_json_mean_the_same(tmp_path):
    data = {
        "name": "x",
        "run": ["a"],
        "const_args": {"a": 1.5, "b": None},
        "tunables": TUNABLES,
        "timeouts": {"run": 3},
    }
    configs = [EnvironmentConfig.load(write(tmp_path, json.dumps(data), f"e{s}")) for s in [".yml", *JSON_SUFFIXES]]
    dumps = [config.model_dump() for config in configs]
    assert all(dump == dumps[0] for dump in dumps)
    assert load(**dumps[0]).model_dump() == dumps[0], "a dump loads again"


# Nothing lost: all problems at once


@pytest.mark.smoke
def test_every_problem_is_reported_with_its_line(tmp_path):
    found = refused(
        tmp_path,
        "hosts: 3\n"
        "teardwon: a\n"
        "setup:\n"
        "  - ok\n"
        "  -\n"
        "  - [a]\n"
        "  - {}\n"
        "become: 'yes'\n"
        "tunables:\n"
        "  g:\n"
        "    params:\n"
        "      t:\n"
        "        type: int\n"
        "        range: [5, 1]\n"
        "        default: 1\n"
        "timeouts:\n"
        "  runn: 1\n"
        "  run: 5x\n"
        "shell_env_params:\n"
        "  - IFS\n"
        "required_metrics: [score]\n",
    )
    assert [(p.line, p.key) for p in found] == [
        (None, "name"),
        (1, "hosts"),
        (2, "teardwon"),
        (5, "setup[1]"),
        (6, "setup[2]"),
        (7, "setup[3]"),
        (8, "become"),
        (10, "tunables.g"),
        (14, "tunables.g.params.t.range"),
        (17, "timeouts.runn"),
        (18, "timeouts.run"),
        (20, "shell_env_params[0]"),
        (21, "required_metrics"),
    ]
    assert all(p.file == tmp_path / "environment.yml" for p in found)


def test_checks_between_fields_run_beside_bad_fields_but_say_no_nonsense():
    found = problems(hosts=3, shell_env_params=["missing"])
    assert {p.key for p in found} == {"hosts", "shell_env_params[0]"}
    found = problems(results_stdout_pattern=3, required_metrics=["perhaps_in_the_pattern"])
    assert {p.key for p in found} == {"results_stdout_pattern"}
    found = problems(const_args="bad", shell_env_params=["perhaps_in_const_args"])
    assert {p.key for p in found} == {"const_args"}


@pytest.mark.parametrize(
    ("fields", "key", "message", "hint"),
    [
        ({"teardwn": "a"}, "teardwn", "unknown key", "did you mean 'teardown'?"),
        ({"xyzzy": "a"}, "xyzzy", "unknown key", None),
        ({"timeouts": {"teardow": 1}}, "timeouts.teardow", "unknown key", "did you mean 'teardown'?"),
        ({"timeouts": 5}, "timeouts", "must be a mapping, not a number", None),
        ({"timeouts": {"run": 0}}, "timeouts.run", None, "null means no deadline"),
        ({"timeouts": {"grace": None}}, "timeouts.grace", None, None),
        ({"timeouts": {"run": True}}, "timeouts.run", None, None),
        ({"timeouts": {"run": float("inf")}}, "timeouts.run", None, "null means no deadline"),
        ({"setup": [{"role": 3}]}, "setup[0].role", "must be a role's name (text), not a number", None),
        ({"setup": [{"role": "a", "port": 1}]}, "setup[0].port", None, "variables belong to 'vars'"),
        ({"setup": [{"role": "a", "tasks": "b"}]}, "setup[0].tasks", None, "begin another item with '-'"),
        ({"setup": [{"tasks": "no.yml"}]}, "setup[0].tasks", None, None),
        ({"run": [{"import_playbook": "no.x.yml"}]}, "run[0].import_playbook", None, None),
        ({"run": [{"import_playbook": "a.b.c", "become": True}]}, "run[0].become", None, None),
        ({"vars_params": ["n"]}, "vars_params[0]", None, None),
        ({"vars_params": ["item"], "const_args": {"item": 1}}, "vars_params[0]", None, None),
        ({"hosts": True}, "hosts", "must be text, not true/false", "quote it"),
        ({"hosts": ""}, "hosts", "must not be empty", None),
        ({"become": 1}, "become", "must be true or false, not a number", None),
        ({"setup": 5}, "setup", "must be a list of shell lines and Ansible tasks, not a number", "quote it"),
        ({"setup": [True]}, "setup[0]", None, "quote it"),
        ({"setup": [{1: "a"}]}, "setup[0].1", "a key must be text, not a number", "quote it"),
        ({"start_host": ["reboot"]}, "start_host[0]", "must be an Ansible task (a mapping), not text", None),
        ({"keep_running": ["setpu"]}, "keep_running[0]", "there is no phase 'setpu'", "did you mean 'setup'?"),
        ({"reboot": "allowed"}, "reboot[0]", "there is no phase 'allowed'", "setup, run or teardown"),
        ({"required_args": ["a", "a"]}, "required_args[1]", "'a' is listed twice", None),
        ({"required_args": [1]}, "required_args[0]", "must be a name (text), not a number", "quote it"),
        ({"const_args": {"a": {"b": 1}}}, "const_args.a", None, None),
        ({"const_args": {"a": [[1]]}}, "const_args.a[0]", None, None),
        ({"const_args": {1: "a"}}, "const_args.1", "a name must be text, not a number", "quote it"),
        ({"const_args": {"a": TaggedValue("!vault", "x")}}, "const_args.a", None, None),
        ({"shell_env_params_rename": {"A": 1}}, "shell_env_params_rename.A", None, "quote it"),
        ({"secret_params": {"a": {"env": "A", "file": "b"}}}, "secret_params.a", None, None),
        ({"secret_params": {"a": {}}}, "secret_params.a", None, None),
        ({"secret_params": {"a": {"envv": "A"}}}, "secret_params.a.envv", "unknown key", "did you mean 'env'?"),
        ({"results_stdout_pattern": "(a"}, "results_stdout_pattern", None, None),
        ({"results_stdout_pattern": "a"}, "results_stdout_pattern", None, None),
        ({"required_metrics": ["a"]}, "required_metrics", None, None),
        (
            {"results_stdout_pattern": r"(?P<score>\d+) (?P<p99>\d+)", "required_metrics": ["scor"]},
            "required_metrics[0]",
            "results_stdout_pattern has no group named 'scor'",
            "did you mean 'score'?",
        ),
        ({"tunables": TUNABLES, "tunable_params": ["sqlit"]}, "tunable_params[0]", None, "did you mean 'sqlite'?"),
        ({"experiment_id": 3}, "experiment_id", "must be text, not a number", "quote it"),
        ({"run": "a\0b"}, "run", "has a NUL character, which no script or environment variable can hold", None),
        ({"setup": [{"a": {"b": ["\ud800"]}}]}, "setup[0].a.b[0]", None, None),
        ({"const_args": {"a": "\udcff"}}, "const_args.a", None, None),
        ({"include_tunables": 3}, "include_tunables", None, None),
        ({"$schema": 3}, "$schema", None, None),
        ({3: "a"}, "3", "a key must be text, not a number", "quote it"),
    ],
)  # fmt: skip
def test_what_is_refused(fields, key, message, hint):
    with pytest.raises(ConfigError) as caught:
        EnvironmentConfig.from_mapping({"name": "x"} | fields)
    problem = only(list(caught.value.problems))
    assert problem.key == key
    assert message is None or problem.message == message
    assert hint is None or problem.hint == hint


@pytest.mark.parametrize("value", [None, 3, "text", ["a"]])
def test_a_file_must_be_a_mapping(value):
    with pytest.raises(ConfigError, match=r"is empty|must be a mapping"):
        EnvironmentConfig.from_mapping(value)


# Files that cannot be read


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("e.yml", "", None, "is empty"),
        ("e.yml", "# only a comment\n", None, "is empty"),
        ("e.json", " \n", None, "is empty"),
        ("e.yml", "- a\n- b\n", None, "must be a mapping, not a list"),
        ("e.yml", "just text", None, "must be a mapping, not text"),
        ("e.yml", "name: x\nrun: a: b\n", 2, "mapping values are not allowed here"),
        ("e.yml", "name: x\nrun: [a\n", 3, "is not valid YAML"),
        ("e.yml", "name: x\nrun: a\nname: y\n", 3, "the key 'name' is given twice"),
        ("e.yml", "name: x\nconst_args:\n  a: 1\n  a: 2\n", 4, "the key 'a' is given twice"),
        ("e.yml", "name: x\nrun: !shell a\n", 2, "unknown tag !shell"),
        ("e.yml", "name: x\nrun: !!python/object/apply:os.system [id]\n", 2, "unknown tag"),
        ("e.yml", "name: x\nrun:\n  - {t: !vault [a]}\n", 3, "the tag !vault is for text only"),
        ("e.yml", "name: x\nrun: !vault a\n", 2, "not a !vault value"),
        ("e.yml", "name: x\n---\nname: y\n", 2, "single document"),
        ("e.yml", "name: x\nrun: a\x07b\n", 2, "has the character 0x7"),
        ("e.yml", b"name: x\nrun: \xff\n", 2, "is not UTF-8 text"),
        ("e.yml", "name: x\nrun: &a [*a]\n", 2, "alias to a value inside itself"),
        ("e.yml", "name: x\nconst_args: {d: 2024-99-99}\n", None, "is not valid YAML"),
        ("e.json", '{"name": "x",\n "run" 3}', 2, "is not valid JSON"),
        ("e.json", '{"name": "x", "name": "y"}', None, "the key 'name' is given twice"),
        ("e.yml", "[" * 5000, None, "is nested too deeply"),
    ],
)
def test_bad_files(tmp_path, name, text, line, message):
    problem = refused(tmp_path, text, name)[0]
    assert problem.line == line
    assert message in problem.message
    assert problem.file == tmp_path / name


def test_missing_file_and_folder(tmp_path):
    for path, message in [(tmp_path / "no.yml", "No such file"), (tmp_path, "directory")]:
        with pytest.raises(ConfigError, match=message):
            EnvironmentConfig.load(path)


def test_an_alias_bomb_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "100000 values" in refused(tmp_path, "\n".join(lines))[0].message


def test_anchors_and_merge_keys_work(tmp_path):
    text = "name: x\nconst_args: &c {a: 1}\nsetup:\n  - t: {<<: *c, b: 2}\n"
    assert EnvironmentConfig.load(write(tmp_path, text)).setup == ({"t": {"a": 1, "b": 2}},)


def test_vault_and_unsafe_are_kept_inside_tasks(tmp_path):
    text = """
        name: x
        setup:
          - copy:
              content: !vault |
                $ANSIBLE_VAULT;1.1
                6162
              x: !unsafe '{{ a }}'
    """
    (task,) = EnvironmentConfig.load(write(tmp_path, text)).setup
    assert isinstance(task, dict)
    assert task["copy"] == {
        "content": TaggedValue("!vault", "$ANSIBLE_VAULT;1.1\n6162\n"),
        "x": TaggedValue("!unsafe", "{{ a }}"),
    }
    assert "ANSIBLE_VAULT" not in repr(task)


@pytest.mark.parametrize("text", ["off", "Yes", "0644", "1:30"])
def test_values_that_yaml_reads_otherwise_than_they_look_are_refused(tmp_path, text):
    problem = only(refused(tmp_path, f"name: x\nconst_args:\n  mode: {text}\n"))
    assert (problem.line, problem.key) == (3, "const_args.mode")
    assert problem.message.startswith(f"YAML reads {text} as ")
    assert f"write {text!r} in quotes" in (problem.hint or "")


@pytest.mark.parametrize("text", ["'off'", "false", "0o644", "0x10", "0", "-5", "1.5", "'0644'"])
def test_values_that_are_what_they_look_like(tmp_path, text):
    EnvironmentConfig.load(write(tmp_path, f"name: x\nbecome: yes\nconst_args:\n  mode: {text}\n"))


def test_positions_of_keys(tmp_path):
    document = read_document(write(tmp_path, "a:\n  - b\n  - c:\n      d: 1\n"))
    assert [document.line(where) for where in [("a",), ("a", 1), ("a", 1, "c", "d"), ("a", 1, "x"), ("z",)]] == [
        1,
        3,
        4,
        3,
        None,
    ]


# Names


@pytest.mark.parametrize("name", ["IFS", "_", "PPID", "1a", "a-b\n", "é", "SHELLOPTS"])
def test_names_no_shell_takes_over(name):
    assert env_name_fault(name)


@given(st.text(min_size=1))
def test_a_cleaned_name_is_an_ascii_identifier_or_refused(name):
    """`re.sub('[^a-zA-Z0-9_]', '_', name)` is mlos_bench's; then nothing but an identifier is let through."""
    clean = clean_env_name(name)
    assert len(clean) == len(name)
    if env_name_fault(clean) is None:
        assert clean.isascii()
        assert clean.isidentifier()
        assert clean not in RESERVED_NAMES


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"shell_env_params": ["dynamic-hz"]}, []),
        ({"shell_env_params": ["a"]}, []),
        ({"shell_env_params": ["trial_id", "experiment_id", "trial_runner_id", "pw"], "secret_params": ["pw"]}, []),
        ({"shell_env_params": ["dynamic-hzz"]}, ["shell_env_params[0]"]),
        ({"shell_env_params_rename": {"HZ": "dynamic_hz"}}, ["shell_env_params_rename.HZ"]),
        ({"shell_env_params_rename": {"H-Z": "dynamic-hz"}}, ["shell_env_params_rename.H-Z"]),
        ({"shell_env_params": ["dynamic-hz", "dynamic.hz"]}, ["shell_env_params[1]"]),
        ({"shell_env_params": ["a"], "shell_env_params_rename": {"a": "dynamic-hz"}}, ["shell_env_params_rename.a"]),
        ({"shell_env_params": ["a"], "shell_env_params_rename": {"a": "a"}}, []),
        ({"shell_env_params": ["cache_size"], "tunables": TUNABLES}, []),
        ({"shell_env_params": ["cache_size"], "tunables": TUNABLES, "tunable_params": ["sqlite"]}, []),
        ({"shell_env_params": ["cache_size"], "tunables": TUNABLES, "tunable_params": []}, ["shell_env_params[0]"]),
        ({"shell_env_params": ["given_later"], "tunable_params": ["group"]}, []),
        ({"shell_env_params": ["given_later"], "tunable_params": ["$group"], "tunables": TUNABLES}, []),
    ],
)
def test_exported_names(fields, keys):
    data = {"const_args": {"dynamic-hz": 1, "dynamic.hz": 2}, "required_args": ["a"]} | fields
    if keys:
        assert [p.key for p in problems(**data)] == keys
    else:
        load(**data)


def test_unknown_name_says_what_is_near_or_unselected():
    assert only(problems(const_args={"mount": 1}, shell_env_params=["mont"])).hint == "did you mean 'mount'?"
    problem = only(problems(tunables=TUNABLES, tunable_params=[], shell_env_params=["cache_size"]))
    assert "group 'sqlite', which tunable_params does not select" in problem.message


# Secrets


def test_secret_params_forms():
    assert load(secret_params=["a"], required_args=["a"]).secret_params == {"a": None}
    config = load(secret_params={"a": {"env": "A"}, "b": {"file": "f"}, "c": None})
    assert config.secret_params["a"].env == "A"
    assert config.secret_names == {"a", "b", "c"}


def test_what_is_made_from_a_secret_is_one():
    data = {"secret_params": ["pw"], "const_args": {"url": "db://u:${pw}@h"}}
    assert only(problems(**data)).hint == "add 'url' to secret_params"
    load(**data | {"secret_params": ["pw", "url"]})


def test_a_tunable_cannot_be_secret():
    assert only(problems(tunables=TUNABLES, secret_params=["cache_size"])).key == "secret_params"


def test_no_value_of_an_argument_in_repr_or_errors():
    config = load(const_args={"pw": "hunter2"}, secret_params=["pw"])
    assert "hunter2" not in f"{config!r} {config}"
    with pytest.raises(ConfigError) as caught:
        load(const_args={"pw": {"a": "hunter2"}, "x": ["ok", ["hunter2"]]}, setup=[{"hunter": object()}])
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__)


# The model by hand


def test_the_constructor_checks_too():
    assert EnvironmentConfig(name="x", run=("true",)).run == ("true",)
    for fields in [{"shell_env_params": ("nope",)}, {"run": ("a\0",)}, {"become": "yes"}]:
        with pytest.raises(pydantic.ValidationError):
            EnvironmentConfig(name="x", **fields)


def test_frozen():
    config = load()
    with pytest.raises(pydantic.ValidationError):
        config.name = "y"


def test_a_config_keeps_no_reference_to_what_it_was_made_from():
    data: dict[str, Any] = {"name": "x", "setup": [{"t": {"a": [1]}}], "const_args": {"l": [1]}}
    config = EnvironmentConfig.from_mapping(data)
    data["setup"][0]["t"]["a"].append(2)
    data["const_args"]["l"].append(2)
    assert config.setup == ({"t": {"a": [1]}},)
    assert config.const_args == {"l": [1]}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("500ms", 0.5), ("1.5m", 90), (" 1 d ", 86400), (7, 7)],
)
def test_times(text, seconds):
    assert load(timeouts={"run": text}).timeouts.run == seconds


# The schema


def test_the_stored_schema_is_fresh():
    stored = json.loads(files("ansible_env.config").joinpath("environment.schema.json").read_text())
    assert stored == json_schema(), "run python -m ansible_env.config"


def test_every_field_is_documented():
    assert [name for name, field in EnvironmentConfig.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"name": "x"}, True),
        ({"name": "x", "run": "a", "setup": ["a", {"t": 1}], "timeouts": {"run": "5m", "boot": None}}, True),
        ({"name": "x", "tunables": TUNABLES, "secret_params": ["a"]}, True),
        ({"name": "x", "secret_params": {"a": {"env": "A"}, "b": None}, "include_tunables": "t.yml"}, True),
        ({"class": "mlos_bench.environments.RemoteEnv", "name": "x", "config": {"run": ["a"]}}, True),
        ({}, False),
        ({"name": "x", "runn": "a"}, False),
        ({"name": "x", "run": [3]}, False),
        ({"name": "x", "keep_running": ["boot"]}, False),
        ({"name": "x", "tunables": {"g": {"cost": 1, "params": {}}}}, False),
        ({"class": "mlos_bench.environments.LocalEnv", "name": "x", "config": {}}, False),
        ({"class": "ansible_env.mlos.AnsibleEnv", "name": "x", "config": {"name": "y"}}, False),
    ],
)
def test_schema_and_loader_agree(data, valid, tmp_path):
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(data) is valid
    write(tmp_path, json.dumps(TUNABLES), "t.yml")
    path = write(tmp_path, json.dumps(data), "e.json")
    if valid:
        EnvironmentConfig.load(path)
    else:
        with pytest.raises(ConfigError):
            EnvironmentConfig.load(path)
