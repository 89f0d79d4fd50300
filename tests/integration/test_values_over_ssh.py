"""What a script gets and gives, over a real ssh connection: values, text, surroundings, status, output."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_env import ConfigError, Engine, HostResult, Kind, ParameterError, RemoteEnv, Status
from ansible_env.config.shell_env import MAX_ENV_BYTES
from ansible_env.testing import FakeEngine
from tests.hosts import Host, Hosts

pytestmark = pytest.mark.ssh

MARK = uuid.uuid4().hex
PWNED = f"/tmp/pwned-{MARK}"
"""Made by whatever executes a value."""
LOOKUP = f"{{{{ lookup('pipe', 'touch {PWNED}') }}}}"
NOOP = {"ansible.builtin.meta": "noop"}
PAIRS = r"^(\w+)=(.*)$"

# Exactly what must come out on the other side.
VALUES = [
    *("'", '"', "it's", "''", '"quoted"', "\"'`", "\\", "a\\", "\\n", "\\'", "a\\\nb", "\\\\x", "`"),
    *(f"$(touch {PWNED})", f"`touch {PWNED}`", f"'; touch {PWNED}; '", f"x\ntouch {PWNED}\n", f"& touch {PWNED} &"),
    *("$HOME", "${HOME}", "$(id)", "$!", "${x:-y}", "$((1+1))", "%s%n", "!!", "*", "?[a-z]", "~root", "-n", "-e \\t"),
    *("", " ", "\n", "\t", "\r", "a\nb", "a\r\nb", "end\n", "end\n\n\n", "\n\nstart", "  both  ", "\ta\t", " \n "),
    *("ünïcödé", "日本語", "\u0085", "a\u0085b", "\u2028", "\u2029", "a\u2028b", "\ufeffbom", "\ufffe\uffff", "😀👩‍💻"),
    "".join(map(chr, range(0x80, 0xA1))),  # 0x81-0x88 are control characters inside dash's parser
    "".join(map(chr, range(0x101, 0x109))),  # and here they are second bytes
    "".join(map(chr, [*range(1, 0x20), 0x7F])),
    *(LOOKUP, "{{ 7 * 7 }}", "{% raw %}", "{% if %}", "{# c #}", "{{", "}}"),
    "#jinja2: variable_start_string: '[['\n[[ 1 ]]",
    *("!unsafe", "!unsafe 'x'", "!vault |", "yes", "no", "on", "010", "0x10", "1e3", "1.0", "null", "~", "- a: b"),
    *("a: b", "# no comment", "a # b", "&a", "*a", "|", ">-", "---", "...", "%YAML 1.2", "[1]", "{a: b}"),
    *("2001-01-01", "a=b", "EOF", "omit", "__omit_place_holder__1", "ansible_env: 1", "2:3", "NaN", "True", "None"),
    ("it's \"100 KB\" of $(id) `id` \\ {{ 7 }} ünï\n" * 2500)[:100_000],
]  # fmt: skip


class Remote:
    """Runs scripts on one host."""

    def __init__(self, engine: Engine, hosts: Hosts) -> None:
        self.engine = engine
        self.host: Host = hosts["h1"]
        self._inventory = hosts.inventory()

    def env(self, run: Any = "true", *, own: Mapping[str, Any] | None = None, **config: Any) -> RemoteEnv:
        """`own` is for RemoteEnv, everything else for its configuration."""
        config = {"name": f"values {LOOKUP}", "run": run, "timeouts": {"run": 60, "setup": 60}, **config}
        return RemoteEnv(config=config, engine=self.engine, inventory=self._inventory, limit="h1", **(own or {}))

    def run(self, run: Any, *, own: Mapping[str, Any] | None = None, **config: Any) -> HostResult:
        with self.env(run, own=own, **config) as env:
            (result,) = env.run_phase("run").hosts.values()
        return result

    def good(self, run: Any, **more: Any) -> HostResult:
        result = self.run(run, **more)
        assert result.kind is Kind.OK, (result.message, result.stderr)
        return result


@pytest.fixture
def remote(engine: Engine, ssh_hosts: Hosts) -> Iterator[Remote]:
    made = Remote(engine, ssh_hosts)
    yield made
    assert not made.host.path(PWNED).exists(), "executed on the target"
    assert not Path(PWNED).exists(), "executed on the controller"


# -- values --------------------------------------------------------------------------------------------


def test_values_arrive_byte_identical(remote: Remote, tmp_path: Path) -> None:
    """By way of const_args, of globals, and of a tunable; `$` means nothing in the last two."""
    const = {f"C{number}": value for number, value in enumerate(VALUES)}
    given = {f"G{number}": value for number, value in enumerate([*VALUES, "$C0", "${C1}", "$$", "$trial_id"])}
    longest = "x" * (MAX_ENV_BYTES - len("LONGEST") - 2)
    odd = [value for value in VALUES if value and len(value) < 1000]
    tunables = {"g": {"cost": 1, "params": {"T": {"type": "categorical", "values": odd, "default": odd[0]}}}}
    names = [*const, *given, "LONGEST"]
    result = remote.good(
        f'for n in {" ".join(names)} T; do printf "%s " "$n"; printf %s "${{!n}}" | base64 -w0; echo; done',
        const_args=const,
        required_args=[*given, "LONGEST"],
        tunables=tunables,
        shell_env_params=[*names, "T"],
        own={"global_config": {**given, "LONGEST": longest, "T": LOOKUP}, "logs": tmp_path},
    )
    lines = (line.split(" ") for line in (tmp_path / "run" / "h1.stdout").read_text().splitlines())
    found = {name: base64.b64decode(value).decode() for name, value in lines}
    assert result.truncated
    wrong = {
        name for name, value in {**const, **given, "LONGEST": longest, "T": LOOKUP}.items() if found[name] != value
    }
    assert not wrong


NAN = {"g": {"cost": 1, "params": {"n": {"type": "int", "range": [1, 9], "default": 2}}}}


@pytest.mark.parametrize(
    ("config", "given", "said"),
    [
        ({"const_args": {"a": "x\0y"}, "shell_env_params": ["a"]}, {}, "NUL"),
        ({"required_args": ["a"], "shell_env_params": ["a"]}, {"a": "x\0y"}, "NUL"),
        ({"required_args": ["a"], "shell_env_params": ["a"]}, {"a": "\ud800"}, "surrogate"),
        ({"required_args": ["a"], "shell_env_params": ["a"]}, {"a": "x" * MAX_ENV_BYTES}, "too long"),
        ({"required_args": ["a"], "shell_env_params": ["a"]}, {"b": 1}, "missing"),
        ({"const_args": {"1a": 1}, "shell_env_params": ["1a"]}, {}, "no digit first"),
        ({"const_args": {"a": 1}, "shell_env_params_rename": {"a;touch x": "a"}}, {}, "is not an environment variable"),
        ({"const_args": {"a": 1}, "shell_env_params_rename": {"a\n": "a"}}, {}, "is not an environment variable"),
        ({"const_args": {"a": 1}, "shell_env_params_rename": {"SHELLOPTS": "a"}}, {}, "sets this variable itself"),
        ({"const_args": {"alpha": 1}, "shell_env_params": ["alhpa"]}, {}, "'alpha'"),
        ({"run": "echo \0"}, {}, "NUL"),
        ({"tunables": NAN}, {"n": 10}, "10"),
        ({"tunables": NAN}, {"n": "many"}, "n"),
    ],
)
def test_refused_before_any_host_is_touched(config: dict[str, Any], given: dict[str, Any], said: str) -> None:
    engine = FakeEngine()
    with pytest.raises(ConfigError) as caught:
        RemoteEnv(config={"name": "refused", "run": "true", **config}, engine=engine, global_config=given)
    assert said in str(caught.value)
    assert not engine.jobs


def test_only_what_is_named_is_exported_as_str(remote: Remote) -> None:
    const = {"yes": True, "none": None, "one": 1.0, "list": ["a", 2, None], "big": 10**20, "a-b.c": "d", "UNNAMED": "u"}
    script = "env -u SSH_CLIENT -u SSH_CONNECTION -u ANSIBLE_ENV_RUN_ID -u _"
    plain = set(remote.good(script, const_args=const).stdout.splitlines())
    exported = remote.good(
        script,
        const_args=const,
        shell_env_params=[name for name in const if name != "UNNAMED"],
        shell_env_params_rename={"RENAMED": "one", "TRIAL": "trial_id"},
    )
    assert set(exported.stdout.splitlines()) - plain == {
        *("yes=True", "none=None", "one=1.0", "list=['a', 2, None]", f"big={10**20}", "a_b_c=d"),
        *("RENAMED=1.0", "TRIAL=1"),
    }
    assert not any("UNNAMED" in line for line in plain)


def test_parameters_by_the_rules_of_mlos_bench(remote: Remote) -> None:
    """`$var` in const_args, globals for known keys only, required arguments, tunables, and a fresh trial_id."""
    params = {
        "i": {"type": "int", "range": [1, 100], "default": 7},
        "f": {"type": "float", "range": [0, 1], "default": 0.5},
        "c": {"type": "categorical", "values": ["on", "off"], "default": "on"},
        "s": {"type": "int", "range": [1, 100], "special": [-1], "default": 3},
    }
    names = ["path", "late", "kept", "known", "req", "fromg", "i", "f", "c", "s"]
    env = remote.env(
        "; ".join(f'echo "{name}=${name}"' for name in names),
        const_args={
            "path": "/data/$experiment_id/t${trial_id}/$known",
            "late": "$later/x",
            "later": "l",
            "kept": "$nobody ${no} $(pwd) $1 {{ known }}",
            "known": "file",
            "fromg": "<$stranger>",
        },
        required_args=["req", "i"],
        tunables={"g": {"cost": 1, "params": params}},
        shell_env_params=names,
        results_stdout_pattern=PAIRS,
        experiment_id="exp",
        own={"global_config": {"known": "k$later", "req": "r", "stranger": "$s", "f": 0.25}},
    )
    with env:
        seen = []
        for values in ({"i": 100, "s": -1}, {"c": "off"}):
            assert env.setup(values)
            status, _, metrics = env.run()
            assert (status, metrics is not None) == (Status.SUCCEEDED, True)
            seen.append({name: str(value) for name, value in (metrics or {}).items()})
        assert "stranger" not in env.params
        for bad in ({"i": 101}, {"s": -2}, {"c": "maybe"}, {"nobody": 1}):
            with pytest.raises(ParameterError):
                env.setup(bad)
            assert env.run()[0] is Status.PENDING
    always = {
        "late": "l/x",
        "kept": "$nobody ${no} $(pwd) $1 {{ known }}",
        "known": "k$later",
        "req": "r",
        "fromg": "<$s>",
    }
    first = {"path": "/data/exp/t1/k$later", "i": "100", "f": "0.25", "c": "on", "s": "-1"}
    assert seen[0] == always | first
    assert seen[1] == always | {"path": "/data/exp/t2/k$later", "i": "7", "f": "0.25", "c": "off", "s": "3"}


def test_tasks_see_parameters_that_are_never_templated(remote: Remote) -> None:
    """Two scripts with an Ansible task between them, which writes what it sees."""
    word = f'{LOOKUP} {{% raw %}} it\'s\n"quoted" {{# c #}} ünï \\'
    path = f"/tmp/word-{MARK}"
    task = {"ansible.builtin.copy": {"content": "{{ ansible_env_params.word }}", "dest": path, "mode": "0600"}}
    also = {"ansible.builtin.assert": {"that": ["ansible_env_params.n + 1 == 42"]}}
    run = [f"rm -f {path}; echo a=1", task, also, f"base64 -w0 {path}; echo; echo b=2; rm {path}"]
    args = {"word": word, "n": 41}
    result = remote.good(run, const_args=args, results_stdout_pattern=r"^(\w)=(\d)$", required_metrics=["a", "b"])
    assert base64.b64decode(result.stdout.splitlines()[1]).decode() == word
    assert result.metrics == {"a": 1, "b": 2}


def test_secrets_reach_the_script_and_nobody_else(remote: Remote, tmp_path: Path) -> None:
    class Everything:
        said = ""

        def on_event(self, event: Mapping[str, Any]) -> None:
            self.said += json.dumps(event, default=repr)

        def on_output(self, host: str, stream: str, text: str) -> None:
            self.said += text

    secret = f"s3cr3t'-{MARK}-$(id) {{{{ 7 * 7 }}}} \"ü\\"
    listener = Everything()
    script = 'printf %s "$token" | sha256sum; echo "it is $token"; echo "$token" >&2; cat /proc/[0-9]*/cmdline'
    env = remote.env(
        [script, NOOP, "env | grep -c ^token="],
        secret_params=["token"],
        shell_env_params=["token"],
        own={"global_config": {"token": secret}, "listener": listener, "logs": tmp_path},
    )
    with env:
        playbook = env.render("run")
        result = env.run_phase("run")
        shown = repr(env.params) + repr(env)
    (host,) = result.hosts.values()
    assert host.stdout.startswith(hashlib.sha256(secret.encode()).hexdigest())
    assert "it is ********\n" in host.stdout
    assert host.stderr == "********\n"
    assert host.stdout.endswith("1\n")
    kept = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    everything = playbook + repr(result) + json.dumps(result.to_dict()) + shown + listener.said + kept
    assert "it is" in kept
    assert MARK not in everything.replace(f"pwned-{MARK}", "")


# -- script text ---------------------------------------------------------------------------------------

SCRIPTS = {
    "templates": f"x=abc; echo '{{{{ 1 }}}}' '{{%' '{{#' \"${{#x}}\" '{LOOKUP}' '{{% raw %}}'\n: {{# {{{{\n#jinja2:\n",
    "chdir": "chdir=/x creates=/\necho \"$chdir $creates\" removes=/tmp _raw_params=y '!unsafe'\n",
    "heredoc": "cat <<'END'\nit's `id` $HOME \\ \\n {{ 1 }}\n\tindented\nEOF\nEND\ncat <<END\n${HOME:+set}\nEND\n",
    "crlf": "echo one\r\necho two\r\n",
    "tabs": "\tif :; then\n\t\techo 'a\tb'   \n \tfi\n\n\n",
    "leading": "\n\n   \necho lead\n",
    "no newline": "echo last",
    "no newline, continued": "echo last \\",
    "unicode": "ü='日 \u0085 \u2028'\necho '日本 \u0085 \u2028 \ufeff 😀 \x7f \x01'  # \u0101\u0108\n",
    "bom": "\ufeff: ; echo after\n",
    "yaml": "---\n- a: b\n!unsafe\n...\n%YAML\necho yaml\n",
    "large": ": <<'END'\n" + "it's 64 bytes of $(id) `id` {{ 1 }}, and at its end a \\\n" * 20000 + "END\necho large\n",
    "dollar": 'echo "$HOME" $$ ${1-none} $# $0 | wc -w; echo "${BASH_VERSION:+bash}"\n',
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_text_is_taken_as_it_is(remote: Remote, name: str) -> None:
    """What it prints is what it prints when started by hand; and it is what was sent, byte by byte."""
    text = SCRIPTS[name]
    file = remote.host.path(f"/tmp/by-hand-{MARK}")
    file.write_bytes(text.encode())
    by_hand = remote.host.ssh(f"bash /tmp/by-hand-{MARK}", check=False)
    file.unlink()
    digest = f"/tmp/digest-{MARK}"
    # BASH_ENV is read before the script.
    remote.host.path(f"{digest}.sh").write_text(f'[ ! -f "$0" ] || sha256sum <"$0" >{digest}; unset BASH_ENV\n')
    result = remote.run(text, const_args={"x": "X", "BASH_ENV": f"{digest}.sh"}, shell_env_params=["BASH_ENV"])
    expected = by_hand.stdout
    assert (result.stdout.replace("\r\n", "\n"), result.rc) == (expected.replace("\r\n", "\n"), by_hand.returncode)
    sent = text if text.endswith("\n") else text + "\n"
    assert remote.host.path(digest).read_text().split()[0] == hashlib.sha256(sent.encode()).hexdigest()
    if name == "crlf":
        assert result.stdout == "one\r\ntwo\r\n"
