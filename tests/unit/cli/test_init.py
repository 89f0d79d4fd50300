"""`init`: what it writes, and what it asks."""

import shlex
import sys

import pexpect
import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.metrics.pattern import compile_pattern


def call(*arguments, code=0):
    done = CliRunner().invoke(app, ["init", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def written(directory):
    config = EnvironmentConfig.load(directory / "environment.yml")
    return config, yaml.safe_load((directory / "inventory.yml").read_text())


def test_the_defaults_are_an_example_on_this_machine(tmp_path):
    text = call(tmp_path / "new" / "disk", "--yes")
    config, inventory = written(tmp_path / "new" / "disk")
    assert config.name == "disk"
    assert list(config.required_metrics) == ["write_mib_per_s"]
    assert inventory["all"]["hosts"]["localhost"]["ansible_connection"] == "local"
    place = tmp_path / "new" / "disk"
    assert f"ansible-env trial {place}/environment.yml -i {place}/inventory.yml " in text


@pytest.mark.parametrize(
    "command", ["./run.sh --seconds 10", "awk 'BEGIN { print \"score=1\" }' # {no} %s", "a\n  b\n\nc: d", "- x", "ö: {"]
)
def test_a_command_arrives_as_it_is(tmp_path, command):
    call(tmp_path, "--yes", "--run", command, "--hosts", "web1, 192.0.2.7", "--user", "o'hara")
    config, inventory = written(tmp_path)
    assert list(config.run) == [f"{command}\n"]
    assert inventory["all"]["hosts"] == {"web1": None, "192.0.2.7": None}
    assert inventory["all"]["vars"]["ansible_user"] == "o'hara"


def test_what_is_commented_out_can_be_used(tmp_path):
    """Each `# key:` with what belongs to it is right once the sign is gone."""
    call(tmp_path, "--yes", "--run", "true")
    lines = (tmp_path / "environment.yml").read_text().splitlines()
    keys = (
        "const_args",
        "tunables",
        "shell_env_params",
        "setup",
        "teardown",
        "required_metrics",
        "telemetry",
        "assert",
    )
    out, key = [], False
    for line in lines:
        key = line.startswith("# ") and (
            line[2:].split(":")[0] in keys or (key and line.startswith(("#   ", "# baseline")))
        )
        out.append(line[2:] if key else line)
    config = EnvironmentConfig.from_mapping(yaml.safe_load("\n".join(out)))
    assert (config.setup, config.teardown) == (("mkdir -p /var/tmp/bench",), ("rm -rf /var/tmp/bench",))
    assert config.const_args == {"seconds": 10}
    assert config.assertions
    assert config.telemetry


@pytest.mark.parametrize(
    ("metrics", "key", "value"),
    [
        ("lines", "results_stdout_pattern", r"^(\w+)=(\S+)$"),
        ("json", "results_json", True),
        (r"speed: '?(?P<speed>[\d.]+)", "results_stdout_pattern", r"speed: '?(?P<speed>[\d.]+)"),
    ],
)
def test_how_metrics_are_printed(tmp_path, metrics, key, value):
    call(tmp_path, "--yes", "--run", "x", "--metrics", metrics)
    assert getattr(written(tmp_path)[0], key) == value
    assert key != "results_stdout_pattern" or compile_pattern(value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "stdin is not a terminal"),
        (["--yes", "--run", "x", "--metrics", "("], "--metrics"),
        (["--yes", "--hosts", "a b"], "'a b' is not the name of a host"),
        (["--yes", "--hosts", "a,a"], "twice"),
        (["--yes", "--name", " "], "must be a name"),
    ],
)
def test_what_is_refused_writes_nothing(tmp_path, arguments, words):
    assert words in call(tmp_path / "d", *arguments, code=2)
    assert not (tmp_path / "d").exists()


def test_files_that_are_there_stay(tmp_path):
    (tmp_path / "inventory.yml").write_text("mine")
    assert "exists already" in call(tmp_path, "--yes", code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inventory.yml"]
    call(tmp_path, "--yes", "--force")
    assert "localhost" in (tmp_path / "inventory.yml").read_text()


def test_questions_are_asked_until_the_answers_can_be_used(tmp_path):
    arguments = ["-c", "from ansible_env.cli import main; main()", "init", str(tmp_path / "db")]
    child = pexpect.spawn(sys.executable, arguments, encoding="utf-8", timeout=30, dimensions=(24, 80))
    for question, answer in (
        (r"Name of the environment \[db\]:", ""),
        ("Hosts over ssh.*:", "a b"),
        ("Hosts over ssh.*:", "db1,db2"),
        ("User who logs in.*:", "bench"),
        ("Command that runs.*:", shlex.join(["echo", "score=1"])),
        (r"How does it print.*\[lines\]:", "("),
        (r"How does it print.*\[lines\]:", ""),
    ):
        child.expect(question)
        child.sendline(answer)
    child.expect("ansible-env trial")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    config, inventory = written(tmp_path / "db")
    assert (config.name, list(inventory["all"]["hosts"])) == ("db", ["db1", "db2"])
