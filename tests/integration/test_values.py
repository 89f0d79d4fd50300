"""Parameters and script text, over ssh and locally: what arrives in a script is what was meant, byte by byte.

The rules themselves have their tests without a host (tests/unit/config/test_params.py, test_config.py).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_env import ConfigError, HostResult, RemoteEnv, WarmEngine
from tests.hosts import Hosts
from tests.unit.supervisor.test_values import ANY_TEXT, NASTY, NASTY_TEXT

pytestmark = pytest.mark.ssh

# Which variables there are, and what each of them is, in a form that nothing on the way can change.
SHOW = r"""for name in $(compgen -e | grep '^[VST]_'); do
echo "$name=$(printf %s "${!name}" | base64 -w0)"
done"""
TEMPLATES = "{{ lookup('pipe', 'touch /tmp/pwned') }} {% raw %} {# #} ${V_1} $(touch /tmp/pwned)"

VALUES = [TEMPLATES, *(value for value in NASTY if len(value) < 1000)]

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def engine() -> Iterator[WarmEngine]:
    made = WarmEngine()
    yield made
    made.close()


@pytest.fixture(params=["ssh", "local"])
def environment(request: pytest.FixtureRequest, engine: WarmEngine) -> Run:
    """Make an environment on one host of either kind."""
    hosts: Hosts | None = request.getfixturevalue("ssh_hosts") if request.param == "ssh" else None

    def make(run: str = SHOW, given: Mapping[str, Any] | None = None, **config: Any) -> RemoteEnv:
        return RemoteEnv(
            config={"name": "values", "run": run, **config},
            global_config=given,
            inventory=hosts.inventory() if hosts else None,
            limit="h1" if hosts else None,
            engine=engine,
        )

    return make


@pytest.fixture
def run(environment: Run) -> Callable[..., HostResult]:
    """Run a script with these globals, and return what came of it."""

    def run(*args: Any, chosen: Any = None, **config: Any) -> HostResult:
        with environment(*args, **config) as env:
            assert env.setup(chosen)
            (result,) = env.run_phase("run").hosts.values()
        return result

    return run


def shown(result: HostResult) -> dict[str, str]:
    assert result.rc == 0, result
    pairs = (line.partition("=") for line in result.stdout.splitlines())
    return {name: base64.b64decode(value).decode() for name, _, value in pairs}


def test_values_that_something_on_the_way_might_change(run: Run) -> None:
    given = {f"V_{number}": value for number, value in enumerate(VALUES)}
    known = dict.fromkeys(given, "")
    assert shown(run(SHOW, given, const_args=known, shell_env_params=list(given))) == given


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(ANY_TEXT | NASTY_TEXT, min_size=5, max_size=40))
def test_any_value(run: Run, values: list[str]) -> None:
    given = {f"V_{number}": value for number, value in enumerate(values)}
    known = dict.fromkeys(given, "")
    assert shown(run(SHOW, given, const_args=known, shell_env_params=list(given))) == given


def test_secret_values(run: Run) -> None:
    """By another way, with the same end; what a script prints of them is masked, so it has to be disguised."""
    given = {f"S_{number}": value for number, value in enumerate(VALUES)}
    known = dict.fromkeys(given, "")
    disguised = SHOW.replace("base64 -w0", r"od -An -v -tx1 | tr -d ' \n'")
    result = run(disguised, given, const_args=known, shell_env_params=list(given), secret_params=list(given))
    pairs = (line.partition("=") for line in result.stdout.splitlines())
    assert {name: bytes.fromhex(value).decode() for name, _, value in pairs} == given
    secret = {"const_args": {"S_1": ""}, "shell_env_params": ["S_1"], "secret_params": ["S_1"]}
    assert run('echo "<$S_1>"', {"S_1": "s3cr3t it's"}, **secret).stdout == "<********>\n"
    assert run(SHOW, {"S_1": "s3cr3t it's"}, **secret).stdout == "S_1=********\n"


def test_values_of_tunables(run: Run) -> None:
    values = {f"T_{number}": value for number, value in enumerate(VALUES) if value.strip()}
    params = {name: {"type": "categorical", "values": [value, "-"], "default": "-"} for name, value in values.items()}
    params["T_n"] = {"type": "int", "range": [1, 10], "default": 3}
    params["T_x"] = {"type": "float", "range": [0, 1], "default": 0.5}
    config = {"tunables": {"g": {"cost": 1, "params": params}}, "shell_env_params": list(params)}
    result = run(SHOW, chosen={**values, "T_n": 7, "T_x": 1e-5}, **config)
    assert shown(result) == {**values, "T_n": "7", "T_x": "1e-05"}
    default = shown(run(SHOW, **config))
    assert default == {**dict.fromkeys(values, "-"), "T_n": "3", "T_x": "0.5"}


def test_what_is_no_text_becomes_one_as_in_python(run: Run) -> None:
    given = {
        "V_t": True,
        "V_f": False,
        "V_i": 10,
        "V_s": "010",
        "V_e": 1e-5,
        "V_x": 1e22,
        "V_y": "yes",
        "V_l": [1, "a"],
    }
    found = shown(run(SHOW, const_args=given, shell_env_params=list(given)))
    assert found == {name: str(value) for name, value in given.items()}


def test_only_what_is_named_is_exported_and_names_are_cleaned(run: Run) -> None:
    result = run(
        SHOW,
        const_args={"V_a": "$V_b/x", "V_b": "b", "V_c-d.e": "cleaned", "V_hidden": "hidden", "long": "renamed"},
        shell_env_params=["V_a", "V_b", "V_c-d.e"],
        shell_env_params_rename={"V_short": "long"},
    )
    assert shown(result) == {"V_a": "b/x", "V_b": "b", "V_c_d_e": "cleaned", "V_short": "renamed"}


def test_trial_id_is_expanded_anew_for_each_trial(environment: Run) -> None:
    with environment(SHOW, const_args={"V_dir": "/data/$trial_id"}, shell_env_params=["V_dir", "trial_id"]) as env:
        seen = []
        for trial in (4, 5):
            env.setup(None, {"trial_id": trial})
            seen.append(shown(env.run_phase("run").hosts[next(iter(env.hosts))])["V_dir"])
    assert seen == ["/data/4", "/data/5"]


@pytest.mark.parametrize("value", ["nul\0byte", "x" * 200_000], ids=["nul", "too long"])
def test_values_that_cannot_be_are_refused_by_name(environment: Run, value: str) -> None:
    known = {"const_args": {"V_bad": ""}, "shell_env_params": ["V_bad"]}
    with environment("true", {"V_bad": "good"}, **known) as env, pytest.raises(ConfigError, match="V_bad"):
        env.setup(None, {"V_bad": value})


def test_a_value_as_long_as_may_be(run: Run) -> None:
    value = "é" * 65_000
    known = {"const_args": {"V_long": ""}, "shell_env_params": ["V_long"]}
    result = run('printf %s "$V_long" | sha256sum', {"V_long": value}, **known)
    assert result.stdout.split()[0] == hashlib.sha256(value.encode()).hexdigest()


def test_script_text_is_not_touched(run: Run) -> None:
    text = """cat <<EOF
it's $((1 + 1)) {{ not }} {% a %} {# template #} {{ lookup('pipe', 'touch /tmp/pwned') }}
EOF
cat <<'END'
chdir=/x creates=/ $HOME ${#x} `no` $trial_id $word \x41 é 漢字 😀 \u0085
aé _é eé
END
x=four; echo "${#x}"
echo '  spaces  '	'tab'\x20
printf '%s\\n' 'a\\nb'
# no final newline; and with a carriage return: \r
echo "$word" 'a: b' "- c" '# d' !e &&
  echo '%s' "100%" '---' '...'"""
    expected = """it's 2 {{ not }} {% a %} {# template #} {{ lookup('pipe', 'touch /tmp/pwned') }}
chdir=/x creates=/ $HOME ${#x} `no` $trial_id $word \x41 é 漢字 😀 \u0085
aé _é eé
4
  spaces   tab
a\\nb
w a: b - c # d !e
%s 100% --- ...
"""
    result = run(text, const_args={"word": "w"}, shell_env_params=["word"])
    assert (result.stdout, result.stderr) == (expected, "")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(ANY_TEXT | NASTY_TEXT, min_size=3, max_size=40))
def test_any_script(run: Run, lines: list[str]) -> None:
    text = "\n".join(lines)
    if not text.strip():
        return
    result = run(text, shell="base64")
    assert base64.b64decode(result.stdout).decode() == (text if text.endswith("\n") else text + "\n")


def test_script_of_a_megabyte(run: Run) -> None:
    text = f"# {'x' * 96}\n" * 10_700 + "echo end"
    assert run(text).stdout == "end\n"


def test_lines_are_one_script(run: Run) -> None:
    """As in mlos_bench: variables live on, and only the last line's exit status counts."""
    lines = ["x=1; cd /", "false", 'echo "$x $PWD"']
    assert run(lines).stdout == "1 /\n"
    failed = run(lines, fail_fast=True)
    assert (failed.rc, failed.stdout) == (1, "")
