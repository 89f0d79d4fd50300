"""Cases 1-13: values, names, scripts and output are data, whatever they look like."""

from __future__ import annotations

import base64
import json
import logging
from importlib import metadata

import pytest

from ansible_env import ConfigError, EnvironmentConfig, Kind, ParameterError, RemoteEnv, Status
from ansible_env.testing import FakeEngine
from tests.faults.bench import Bench

pytestmark = pytest.mark.ssh
NASTY = [
    "$(id)",
    "`id`",
    "it's",
    'a "b"',
    "back\\slash",
    "two\nlines",
    "😀 é",
    " lead and trail ",
    "-n",
    "a;b&c|d>e<f*?",
    "%s",
]


def jinja(path):
    return f"{{{{ lookup('pipe', 'touch {path}') }}}}"


@pytest.mark.smoke
def test_01_template_in_a_tunable(anywhere: Bench, tmp_path):
    made = tmp_path / "made"
    evil = jinja(made)
    tunables = {"g": {"cost": 1, "params": {"word": {"type": "categorical", "values": ["x", evil], "default": "x"}}}}
    echo = {"ansible.builtin.command": {"argv": ["echo", "{{ ansible_env_params.word }}"]}, "register": "said"}
    same = {"ansible.builtin.assert": {"that": ["said.stdout == ansible_env_params.word"]}}
    run = [echo, same, 'printf %s "$word"']
    with anywhere.env(setup="true", run=run, tunables=tunables, shell_env_params=["word"]) as env:
        assert env.setup({"word": evil})
        (result,) = env.run_phase("run").hosts.values()
    assert (result.kind, result.stdout) == (Kind.OK, evil)
    assert not made.exists()
    assert not anywhere.hosts or not anywhere.hosts["h1"].path(str(made)).exists()


def test_02_template_nested_in_a_list(remote: Bench, tmp_path):
    made = tmp_path / "made"
    evil = jinja(made)
    task = {"ansible.builtin.assert": {"that": ["ansible_env_params.words[1] is search('lookup')"]}}
    result = remote.host([task, 'printf %s "$words"'], const_args={"words": ["x", evil]})
    assert (result.kind, result.stdout) == (Kind.OK, str(["x", evil]))
    assert not made.exists()


def test_03_values_arrive_byte_for_byte(anywhere: Bench):
    names = {f"v{number}": value for number, value in enumerate(NASTY)}
    script = "; ".join(f'printf %s "${name}" | od -An -v -tx1 | tr -d " \\n"; echo' for name in names)
    result = anywhere.host(script, const_args=names)
    assert [bytes.fromhex(line).decode() for line in result.stdout.splitlines()] == NASTY


def test_04_parameter_name_is_no_code(remote: Bench, tmp_path):
    made = tmp_path / "made"
    name = f"a;touch {made}"
    with pytest.raises(ConfigError):
        RemoteEnv(config={"name": "x", "run": "true", "const_args": {"p": 1}, "shell_env_params_rename": {name: "p"}})
    result = remote.host("env | grep touch", const_args={name: "value"})  # mlos_bench's rule: `_` for what no name has
    assert result.stdout.endswith("_made=value\n")
    assert result.stdout.startswith("a_touch_")
    assert not made.exists()
    assert not remote.hosts["h1"].path(str(made)).exists()


def test_05_nul_in_a_value():
    engine = FakeEngine()
    with pytest.raises(ConfigError, match="NUL"):
        RemoteEnv(
            config={"name": "x", "run": "true", "const_args": {"p": "a\0b"}, "shell_env_params": ["p"]}, engine=engine
        )
    config = {"name": "x", "run": "true", "required_args": ["p"], "shell_env_params": ["p"]}
    env = RemoteEnv(config=config, global_config={"p": "ok"}, engine=engine)
    with env, pytest.raises(ParameterError, match="NUL"):
        env.setup(global_config={"p": "a\0b"})
    assert engine.jobs == []


SCRIPT = """\
cat <<'END'
it's {{ 1 + 1 }} {% if x %} {# gone #} ${#a} $HOME `id` \\n
chdir=/x creates=/ removes=/y
END
a=four; echo ${#a}
chdir=/tmp creates=/
echo "$chdir $creates"
"""
PRINTED = """\
it's {{ 1 + 1 }} {% if x %} {# gone #} ${#a} $HOME `id` \\n
chdir=/x creates=/ removes=/y
4
/tmp /
"""


def test_06_07_script_is_not_touched(anywhere: Bench):
    assert anywhere.host(SCRIPT).stdout == PRINTED


def test_08_script_of_a_megabyte(anywhere: Bench):
    result = anywhere.host("# it's {{ long }}\n" * 60_000 + "echo score=1")
    assert (result.kind, result.stdout) == (Kind.OK, "score=1\n")


def test_09_value_that_no_variable_can_hold():
    config = {"name": "x", "run": "true", "required_args": ["huge"], "shell_env_params": ["huge"]}
    engine = FakeEngine()
    env = RemoteEnv(config=config, global_config={"huge": "x"}, engine=engine)
    with env, pytest.raises(ParameterError, match=r"huge.* bytes too long") as caught:
        env.setup(global_config={"huge": "x" * 200_000})
    assert len(str(caught.value)) < 500
    assert engine.jobs == []


def test_10_values_as_text(remote: Bench, tmp_path):
    file = tmp_path / "env.yml"
    file.write_text(
        "name: x\nrun: 'for v in a b c d e f; do eval \"echo \\$$v\"; done'\nshell_env_params: [a, b, c, d, e, f]\n"
        "const_args: {a: true, b: null, c: 8, d: 1.0e-5, e: 'yes', f: '010'}\n"
    )
    inventory = remote.hosts.inventory()
    with RemoteEnv.from_file(file, inventory=inventory, limit="h1", engine=remote.engine) as env:
        (result,) = env.run_phase("run").hosts.values()
    assert result.stdout.split() == ["True", "None", "8", "1e-05", "yes", "010"]
    file.write_text(file.read_text().replace("c: 8", "c: 010"))
    with pytest.raises(ConfigError, match="YAML reads 010 as 8"):
        EnvironmentConfig.load(file)


def forged(host: str) -> str:
    """What ansible-runner decodes as an event, wherever it finds it in the terminal's text."""
    res = {"ansible_env": 1, "status": "SUCCEEDED", "kind": "ok", "rc": 0, "msg": "", "metrics": {"score": 666}}
    data = {"host": host, "task_action": "ansible_env.bench.phase", "task_uuid": "forged", "res": res}
    event = {"uuid": "forged", "event": "runner_on_ok", "counter": 10**6, "pid": 1, "event_data": data}
    text = base64.b64encode(json.dumps(event).encode()).decode()
    pieces = "".join(f"{text[n : n + 76]}\x1b[{len(text[n : n + 76])}D" for n in range(0, len(text), 76))
    return f"\x1b[K{pieces}\x1b[K"


@pytest.mark.smoke
def test_11_forged_event_in_the_output(remote: Bench, caplog, tmp_path):
    # Ansible prints this message on its terminal as it is; a script's output never gets there.
    tell = {
        "ansible.builtin.command": {"argv": ["printf", "%s", "{{ ansible_env_params.forged }}"]},
        "register": "told",
    }
    fail = {"ansible.builtin.fail": {"msg": "{{ told.stdout }}"}}
    script = "printf '%s\\n' \"$forged\"; printf '%s\\n' \"$forged\" >&2; exit 3"
    const_args = {"forged": forged("h1")}
    with caplog.at_level(logging.WARNING):
        result = remote.phase(script, const_args=const_args, limit="h1")
        assert (result.hosts["h1"].kind, result.hosts["h1"].rc, result.metrics) == (Kind.EXIT, 3, {})
        assert not caplog.records
        result = remote.phase([tell, fail, script], const_args=const_args, limit="h1")
    assert (result.hosts["h1"].kind, result.status, result.metrics) == (Kind.TASK, Status.FAILED, {})
    core = tuple(int(part) for part in metadata.version("ansible-core").split(".")[:2])
    # Before 2.19, a message does not reach the terminal as it is, so there is nothing to warn of.
    assert core < (2, 19) or "forged" in caplog.text


def test_12_forged_event_in_the_words_of_ssh(remote: Bench, tmp_path):
    client = tmp_path / "ssh"
    (tmp_path / "words").write_text(forged("h1"))
    client.write_text(f"#!/bin/sh\ncat {tmp_path}/words >&2\necho 'kex_exchange_identification: gone' >&2\nexit 255\n")
    client.chmod(0o755)
    inventory = remote.hosts.inventory_dict()
    inventory["fleet"]["vars"]["ansible_ssh_executable"] = str(client)
    result = remote.host("echo score=1", inventory=inventory)
    assert (result.kind, result.status, result.metrics) == (Kind.UNREACHABLE, Status.FAILED, {})
    assert "\x1b" not in result.message


def test_13_names_that_are_paths(local: Bench, tmp_path):
    logs = tmp_path / "a" / "logs"
    evil = "../../../evil"
    members = {name: {"ansible_connection": "local"} for name in (evil, "..", "x" * 300)}
    with RemoteEnv(
        config=local.config(run="echo out", name=evil), inventory=members, engine=local.engine, logs=logs
    ) as env:
        result = env.run_phase("run")
    assert result.status is Status.SUCCEEDED, result.summary()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != local.ids]
    assert len(files) == 2 * len(members)
    assert {path.parent for path in files} == {logs / "run"}
    with pytest.raises(ConfigError), RemoteEnv(config=local.config(run="true"), engine=local.engine) as env:
        env.run_phase("../../x")
