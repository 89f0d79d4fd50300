"""The command with an engine that runs nothing: forms of output, exit codes, refusals."""

import csv
import io
import json
import os
import signal
import threading
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli import ansible_call
from ansible_env.cli.app import app
from ansible_env.cli.exits import EXIT_CODES, Exit
from ansible_env.engine.protocol import Cancellation, EngineRun
from ansible_env.errors import EngineError, InventoryError
from ansible_env.testing import FakeEngine

ENVIRONMENT = {
    "name": "a bench",
    "setup": ["echo set up"],
    "run": ["# how fast?", "measure --it"],
    "teardown": ["echo clean"],
    "const_args": {"rows": 10, "ratio": 0.5, "quick": True, "label": "x", "sizes": [1, 2], "path": "$root/data"},
    "tunables": {"g": {"cost": 1, "params": {"cache": {"type": "int", "range": [1, 100], "default": 7}}}},
    "shell_env_params": ["rows", "cache", "trial_id", "path"],
    "results_stdout_pattern": r"^(\w+)=(\S+)$",
}
METRICS = {"score": 12345.678901, "note": "fine", "count": 1234567}


class Call:
    """Calls the command in a directory with an environment file."""

    def __init__(self, directory, monkeypatch):
        self.directory = directory
        self.engine = FakeEngine(["localhost"], self.answer)
        self.outcomes = {}
        monkeypatch.chdir(directory)
        monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(directory / "kept"))
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setattr(ansible_call, "make_engine", lambda *_: self.engine)
        self.environment()

    def answer(self, phase, host, task):
        given = self.outcomes.get((phase, host), self.outcomes.get(phase))
        if given is None:
            return {"metrics": METRICS} if phase == "run" else {}
        return given

    def hosts(self, *names):
        self.engine = FakeEngine(names, self.answer)

    def environment(self, **more):
        data = {k: v for k, v in {**ENVIRONMENT, **more}.items() if v is not None}
        (self.directory / "env.yml").write_text(yaml.safe_dump(data, sort_keys=False))

    @property
    def phases(self):
        names = [yaml.load(job.playbook, Loader=yaml.BaseLoader)[0]["name"] for job in self.engine.jobs]
        return [name.split()[0].lower() for name in names if not name.startswith("Fingerprint ")]

    def variables(self, index):
        playbooks = [yaml.load(job.playbook, Loader=yaml.BaseLoader) for job in self.engine.jobs]
        tasks = [p[0]["tasks"] for p in playbooks if not p[0]["name"].startswith("Fingerprint ")][index]
        return tasks[0]["ansible_env.bench.phase"]["env"]

    def __call__(self, *arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def call(tmp_path, monkeypatch):
    return Call(tmp_path, monkeypatch)


# Forms of output


def test_one_host_as_a_table(call):
    result = call("trial", "env.yml")
    assert result.exit_code == 0, result.output
    assert call.phases == ["setup", "run", "teardown"]
    words = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert words[0][:5] == ["a", "bench", "trial", "1", "SUCCEEDED"]
    assert ["score", "12,346"] in words
    assert ["count", "1,234,567"] in words
    assert ["status", "SUCCEEDED"] in words


def test_several_hosts_side_by_side(call):
    call.hosts("h1", "h2")
    call.outcomes["run", "h2"] = {"kind": "exit", "rc": 3, "msg": "exit status 3", "stderr": "no disk\n"}
    result = call("trial", "env.yml")
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["metric", "h1", "h2"] in words
    assert ["score", "12,346", "-"] in words
    assert ["kind", "ok", "exit"] in words
    assert result.exit_code == 1


def test_many_hosts_one_below_the_other(call):
    call.hosts(*(f"h{n}" for n in range(10)))
    result = call("trial", "env.yml")
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["host", "status", "elapsed", "score", "note", "count"] in words
    assert ["h9", "SUCCEEDED", "0.00", "s", "12,346", "fine", "1,234,567"] in words


def test_tables_fit_the_terminal(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    call.hosts(*(f"a-rather-long-host-name-{n}" for n in range(6)))
    result = call("trial", "env.yml")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout.count("score ") == 3  # three blocks of columns


def test_json(call):
    call.hosts("h1", "h2")
    result = call("trial", "env.yml", "--trials", 2, "--output", "json", "-p", "cache=9")
    first, second = json.loads(result.stdout)["trials"]
    assert (first["trial"], second["trial"], first["status"]) == (1, 2, "SUCCEEDED")
    assert first["hosts"]["h2"]["metrics"] == METRICS  # unrounded
    assert first["params"]["cache"] == 9
    assert first["phases"]["run"]["hosts"]["h1"]["kind"] == "ok"
    assert "stdout" not in first["phases"]["run"]["hosts"]["h1"]  # in the logs


def test_jsonl_is_ascii_and_has_no_bare_nan(call):
    call.outcomes["run"] = {"metrics": {"score": float("nan"), "high": float("inf"), "text": "\u202egel\x9b31m"}}
    result = call("trial", "env.yml", "--trials", 2, "-o", "jsonl")
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert result.stdout.isascii()
    metrics = json.loads(lines[0], parse_constant=pytest.fail)["hosts"]["localhost"]["metrics"]
    assert metrics == {"score": "NaN", "high": "Infinity", "text": "\u202egel\x9b31m"}


def test_csv(call):
    call.hosts("h1", "h2")
    call.outcomes["run", "h1"] = {"metrics": {"score": 0.1 + 0.2, "rows": 5, "ok": True}}
    call.outcomes["run", "h2"] = {"kind": "timeout", "rc": 143}
    result = call("trial", "env.yml", "-o", "csv")
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    assert result.stdout.startswith("trial,host,status,kind,rc,started,finished,elapsed,rows,")
    one, two = table
    assert (one["trial"], one["host"], one["status"], one["rc"]) == ("1", "h1", "SUCCEEDED", "0")
    assert (one["score"], one["rows"], one["metric.rows"], one["ok"]) == ("0.30000000000000004", "10", "5", "true")
    assert (two["status"], two["kind"], two["rc"], two["score"]) == ("TIMED_OUT", "timeout", "143", "")


# Progress


def test_output_of_hosts_cannot_act_on_the_terminal(call):
    nasty = "\x1b[2J\x1b]0;title\x07\x9b31mred\x08\x00\u202eback\rlast [bold]\n" + "rest without an end"
    call.outcomes["run"] = {"stdout": nasty}
    result = call("trial", "env.yml")
    assert "localhost | last [bold]\n" in result.stderr
    assert "localhost | rest without an end\n" in result.stderr
    assert not any(char in result.stderr for char in "\x1b\x9b\x08\x00\u202e\r")


def test_quiet_says_nothing_but_errors(call):
    call.outcomes["setup"] = {"stdout": "hello\n"}
    assert call("trial", "env.yml", "-q", "-p", "root=/srv").stderr == ""
    call.outcomes["run"] = {"kind": "exit", "rc": 3, "stderr": "no disk\n"}
    assert "no disk" in call("trial", "env.yml", "-q").stderr


def test_a_failure_is_reported_with_what_there_is_to_know(call):
    call.outcomes["run"] = {"kind": "signal", "rc": 137, "msg": "killed", "stderr": "a\nlast \x1b[31mwords\n"}
    text = call("trial", "env.yml").stderr
    assert "localhost: run: signal: killed" in text
    for words in ("command  measure --it", "137 (SIGKILL)", "last words", "remedy   look for the OOM killer"):
        assert words in text
    assert "\x1b" not in text


def test_hosts_that_failed_alike_are_told_of_together(call):
    call.hosts(*(f"h{n}" for n in range(50)))
    call.outcomes["setup"] = {"kind": "unreachable", "rc": None, "msg": "no route to host"}
    result = call("trial", "env.yml")
    assert result.stderr.count("setup: unreachable") == 1
    assert "h0, h1, h2, h3, h4, h5, h6, h7 and 42 more: setup: unreachable: no route to host" in result.stderr
    assert result.exit_code == 4


def test_many_failures_are_not_all_told_in_full(call):
    call.hosts(*(f"h{n}" for n in range(50)))
    call.outcomes |= {("setup", f"h{n}"): {"kind": "exit", "rc": 1, "stderr": f"error {n}\n"} for n in range(50)}
    result = call("trial", "env.yml")
    assert result.stderr.count("setup: exit") == 8
    assert "42 more hosts failed: h8, h9" in result.stderr


# Exit codes


@pytest.mark.parametrize(
    ("outcomes", "code", "phases"),
    [
        ({}, Exit.SUCCEEDED, "setup run teardown"),
        ({"run": {"kind": "exit", "rc": 1}}, Exit.FAILED, "setup run teardown"),
        ({"setup": {"kind": "exit", "rc": 1}}, Exit.FAILED, "setup teardown"),
        ({"setup": {"kind": "unreachable", "rc": None}}, Exit.UNREACHABLE, "setup teardown"),
        ({"run": {"kind": "auth", "rc": None}}, Exit.UNREACHABLE, "setup run teardown"),
        ({("run", "h1"): {"kind": "unreachable", "rc": None}}, Exit.UNREACHABLE, "setup run teardown"),
        (
            {("run", "h1"): {"kind": "unreachable", "rc": None}, ("run", "h2"): {"kind": "exit", "rc": 1}},
            Exit.FAILED,
            "setup run teardown",
        ),
        ({"run": {"kind": "timeout", "rc": 143}}, Exit.TIMED_OUT, "setup run teardown"),
        ({"run": {"kind": "canceled", "rc": 143}}, Exit.CANCELED, "setup run teardown"),
        ({"teardown": {"kind": "exit", "rc": 1}}, Exit.FAILED, "setup run teardown"),
        ({"teardown": {"kind": "timeout", "rc": 143}}, Exit.FAILED, "setup run teardown"),
        (
            {"run": {"kind": "timeout", "rc": 143}, "teardown": {"kind": "exit", "rc": 1}},
            Exit.TIMED_OUT,
            "setup run teardown",
        ),
    ],
)
def test_exit_codes(call, outcomes, code, phases):
    call.hosts("h1", "h2", "h3")
    call.outcomes.update(outcomes)
    result = call("trial", "env.yml")
    assert result.exit_code == code, result.stderr
    assert call.phases == phases.split()


def test_the_exit_code_of_several_trials_is_that_of_the_worst(call):
    codes = iter(["timeout", "exit", "unreachable", "ok"])
    call.engine = FakeEngine(["h"], lambda phase, *_: {"kind": next(codes)} if phase == "run" else {})
    result = call("trial", "env.yml", "--trials", 4, "-o", "jsonl")
    assert result.exit_code == 1
    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == [
        "TIMED_OUT",
        "FAILED",
        "FAILED",
        "SUCCEEDED",
    ]
    assert [call.variables(index)["trial_id"] for index in range(0, 12, 3)] == ["1", "2", "3", "4"]


def test_all_exit_codes_are_in_the_help(call):
    text = " ".join(call("trial", "--help").stdout.split())
    assert all(f"{int(code)} {meaning}" in text for code, meaning in EXIT_CODES.items())


def test_ansible_that_does_not_start_is_a_failure_with_results(call, monkeypatch):
    def run(job, **_):
        raise EngineError("ansible-playbook is not installed")

    monkeypatch.setattr(call.engine, "run", run)
    result = call("trial", "env.yml", "--trials", 3, "-o", "jsonl")
    assert result.exit_code == 1
    assert "ansible-env: error: ansible-playbook is not installed" in result.stderr
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["error"] == "ansible-playbook is not installed"


# Signals


class Waiting(FakeEngine):
    """An engine whose run phase ends only when it is canceled, after it has sent this process a signal."""

    def __init__(self, number, *, times=1, phase="run"):
        super().__init__(["h"])
        self.number, self.times, self.phase, self.left = number, times, phase, False

    def run(self, job, *, listener=None, cancel: Cancellation | None = None):
        if f"name: {self.phase.capitalize()} " not in job.playbook:
            return super().run(job, listener=listener, cancel=cancel)
        self.jobs.append(job)
        done = threading.Event()
        try:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)
                done.wait(0.05)  # where the handler runs
        except BaseException:
            self.left = True
            raise
        assert cancel is not None and cancel.requested
        return EngineRun((), None, "canceled")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_run_and_tears_down(call, number, capfd):
    former = {n: signal.signal(n, signal.SIG_DFL) for n in (signal.SIGTERM, signal.SIGHUP)}
    call.engine = Waiting(number)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        result = call("trial", "env.yml", "--trials", 3, "-o", "jsonl")
        after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    finally:
        for n, handler in former.items():
            signal.signal(n, handler)
    assert after == before
    assert result.exit_code == 130
    assert call.phases == ["setup", "run", "teardown"]
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["status"] == "CANCELED"
    assert "ansible-env: canceling run, then teardown; interrupt again to stop waiting" in capfd.readouterr().err


def test_the_second_signal_stops_waiting_and_says_who_is_in_charge(call, capfd):
    call.engine = Waiting(signal.SIGINT, times=2)
    result = call("trial", "env.yml", "-o", "jsonl")
    assert result.exit_code == 130
    assert call.engine.left
    assert call.phases == ["setup", "run"]
    assert json.loads(result.stdout)["status"] == "CANCELED"
    said = capfd.readouterr().err
    assert "watchdogs on the hosts end the scripts of run" in said
    assert "3600 s after its start" in said
    assert "teardown was not finished" in said
    (command,) = [line for line in said.splitlines() if "ansible-env attach " in line]
    assert (Path(command.split()[-1]) / "state.json").is_file()
    assert call.engine.closed


def test_a_signal_during_setup_keeps_the_run_from_starting(call):
    call.engine = Waiting(signal.SIGINT, phase="setup")
    result = call("trial", "env.yml")
    assert (result.exit_code, call.phases) == (130, ["setup", "teardown"])


def test_a_signal_that_was_ignored_stays_ignored(call):
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
    call.engine = FakeEngine(["h"], lambda *_: os.kill(os.getpid(), signal.SIGHUP) or {})
    try:
        assert call("trial", "env.yml").exit_code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


# Refusals: exit 2, a line for each problem, no host touched


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        ({"runn": ["x"]}, (), "env.yml:34: runn: unknown key (did you mean 'run'?)"),
        ({"run": 5}, (), "env.yml:4: run: "),
        ({"required_args": ["db_host"]}, (), "db_host: the required argument is missing (-p db_host=VALUE"),
        ({}, ("-p", "cache=1000"), "-p cache: '1000' is not a whole number from 1 to 100"),
        ({}, ("-p", "cache=many"), "-p cache: 'many' is not a whole number from 1 to 100"),
        ({}, ("-p", "cach=1"), "-p cach: there is no parameter of this name (did you mean 'cache'?)"),
        ({}, ("-p", "cache"), "-p cache: must be name=value"),
        ({}, ("-p", "rows=many"), "-p rows: 'many' is not a number (its value in the environment file is 10)"),
        ({}, ("-p", "quick=perhaps"), "-p quick: 'perhaps' is not true or false"),
        ({}, ("-p", "sizes=1"), "-p sizes: '1' is not a list"),
        ({}, ("-p", "path=a\0b"), "NUL"),
        ({"secret_params": ["label"]}, ("-p", "label=x"), "-p label: every user of this machine can see a secret"),
        ({}, ("-i", "nowhere"), "nowhere: there is no such inventory"),
        ({}, ("--params-file", "nowhere.yml"), "nowhere.yml: cannot be read"),
        ({}, ("--params-file", "list.yml"), "list.yml: must be a mapping"),
        ({}, ("--vault-password-file", "nowhere"), "nowhere: --vault-password-file: there is no such file"),
        ({}, ("--vault-id", "x@prompt"), "there is no prompt while a trial runs"),
        ({}, ("-e", "novalue"), "-e novalue: must be name=value"),
        ({}, ("-e", "@nowhere.yml"), "nowhere.yml: -e: there is no such file"),
        ({}, ("-e", "{a"), "-e {a: is not a JSON or YAML mapping"),
        ({}, ("--trials", "2", "-p", "trial_id=x"), "trial_id: 'x' is not a whole number"),
        ({"setup": None, "run": None, "teardown": None}, (), ""),
    ],
)
def test_refusals(call, change, arguments, said):
    (call.directory / "list.yml").write_text("- 1\n")
    call.environment(**change)
    result = call("trial", "env.yml", *arguments)
    assert result.exit_code == 2, result.stderr
    assert said in result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("ansible-env: error: ")
    assert result.stdout == ""
    assert call.engine.jobs == []
    assert not (call.directory / "kept").exists()


def test_no_such_host_is_refused(call, monkeypatch):
    def hosts(*_):
        raise InventoryError("no host matches 'web'")

    monkeypatch.setattr(call.engine, "hosts", hosts)
    result = call("trial", "env.yml", "-l", "web", "-p", "root=/srv")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == ["ansible-env: error: no host matches 'web'"]
    assert call.engine.jobs == []


def test_every_problem_has_its_line(call):
    result = call("trial", "env.yml", "-p", "rows=x", "-p", "cache=0", "-p", "nothing=1")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 3


def test_a_traceback_only_for_those_who_ask(call):
    assert "Traceback" not in call("trial", "nowhere.yml").stderr
    assert "Traceback" in call("trial", "nowhere.yml", "--debug").stderr


@pytest.mark.parametrize("arguments", [("trial",), ("trial", "env.yml", "--nonsense"), ("fly",)])
def test_wrong_usage_is_exit_2(call, arguments):
    assert call(*arguments).exit_code == 2


# Parameters


def test_parameters_reach_the_script_in_their_type(call):
    (call.directory / "more.yml").write_text("rows: 99\nlabel: from the file\nstranger: 1\n")
    result = call(
        "trial", "env.yml", "--params-file", "more.yml", "-p", "rows=20", "-p", "quick=no", "-p", "ratio=2",
        "-p", "cache=3", "-p", "root=/srv", "-p", "sizes=[3]", "-o", "jsonl",
    )  # fmt: skip
    params = json.loads(result.stdout)["params"]
    assert params["rows"] == 20
    assert params["quick"] is False
    assert params["ratio"] == 2.0
    assert params["sizes"] == [3]
    assert params["label"] == "from the file"
    assert call.variables(0) == {"rows": "20", "cache": "3", "trial_id": "1", "path": "/srv/data"}
    assert "more.yml:3: stranger: the environment has no such parameter; ignored" in result.stderr


def test_trials_are_counted_from_a_given_trial_id(call):
    result = call("trial", "env.yml", "-p", "trial_id=7", "--trials", 2, "-o", "jsonl")
    assert [json.loads(line)["trial"] for line in result.stdout.splitlines()] == [7, 8]
    assert call.variables(3)["trial_id"] == "8"


def test_options_reach_ansible(call):
    (call.directory / "secret").write_text("x")
    call(
        "trial", "env.yml", "-b", "--become-user", "pg", "-u", "me", "--vault-id", "dev@secret", "-e", "a=1 b=2",
        "-e", "@secret", "--forks", "3", "--ssh-common-args", "-o ProxyJump=x", "-vv",
    )  # fmt: skip
    options = call.engine.jobs[0].options
    path = call.directory / "secret"
    assert options.arguments == (
        "--become",
        "--become-user=pg",
        "--user=me",
        "--ssh-common-args=-o ProxyJump=x",
        f"--vault-id=dev@{path}",
        "--extra-vars=a=1 b=2",
        f"--extra-vars=@{path}",
    )
    assert (options.forks, options.verbosity) == (3, 1)


def test_the_follow_option_refuses_a_host_that_is_not_there(call):
    result = call("trial", "env.yml", "--follow", "localhos")
    assert result.exit_code == 2
    assert "--follow localhos: is not one of the hosts (did you mean 'localhost'?)" in result.stderr


# Artifacts


def test_artifacts(call):
    call.environment(secret_params={"label": {"env": "LABEL"}}, shell_env_params=["label"])
    os.environ["LABEL"] = "hunter2"
    try:
        result = call("trial", "env.yml")
    finally:
        del os.environ["LABEL"]
    assert result.exit_code == 0, result.stderr
    (kept,) = (call.directory / "kept" / "a-bench").iterdir()
    assert result.stderr.splitlines()[-1] == f"results: {kept}"
    trial = kept / "trial-1"
    document = json.loads((trial / "result.json").read_text())
    assert document["params"]["label"] == "********"
    assert document["versions"].keys() >= {"ansible_env", "ansible_core", "ansible_runner", "python"}
    assert document["phases"]["run"]["hosts"]["localhost"]["stdout"] == ""
    assert yaml.load((trial / "run.yml").read_text(), Loader=yaml.BaseLoader)[0]["name"] == "Run a bench"
    assert [path.stat().st_mode & 0o777 for path in (kept, trial, trial / "result.json")] == [0o700, 0o700, 0o600]
    assert not any("hunter2" in path.read_text() for path in trial.rglob("*.*") if path.is_file())
    assert call.engine.jobs[1].logs == trial / "logs" / "run"


def test_the_stored_playbooks_are_those_that_were_run(call):
    call.environment(setup=[{"script": "start", "exports": {"port": r"^port=(\d+)$"}}], wait_boot=True)
    call.outcomes["setup"] = {"exports": {"port": "4711"}}
    assert call("trial", "env.yml").exit_code == 0
    (trial,) = (call.directory / "kept" / "a-bench").glob("*/trial-1")
    stored = [(trial / f"{phase}.yml").read_text() for phase in ("boot", "setup", "run", "teardown")]
    assert stored == [job.playbook for job in call.engine.jobs if "Fingerprint" not in job.playbook]
    assert call.variables(2)["port"] == "4711"


def test_a_phase_that_was_not_run_has_no_playbook(call):
    call.outcomes["setup"] = {"rc": 1}
    assert call("trial", "env.yml").exit_code == 1
    (trial,) = (call.directory / "kept" / "a-bench").glob("*/trial-1")
    assert [(trial / f"{phase}.yml").exists() for phase in ("setup", "run", "teardown")] == [True, False, True]


def test_a_chosen_directory_is_not_written_twice(call):
    assert call("trial", "env.yml", "--artifacts", "out").exit_code == 0
    assert Path("out/trial-1/result.json").is_file()
    result = call("trial", "env.yml", "--artifacts", "out")
    assert result.exit_code == 2
    assert "trial-1: exists already" in result.stderr


def test_a_name_cannot_lead_out_of_the_directory(call):
    call.environment(name="../../etc/passwd")
    call("trial", "env.yml")
    assert [path.name for path in (call.directory / "kept").iterdir() if path.is_dir()] == ["etc-passwd"]


# The other commands


@pytest.mark.parametrize("phase", ["setup", "run", "teardown"])
def test_a_phase_alone(call, phase):
    result = call(phase, "env.yml", "-p", "cache=5")
    assert result.exit_code == 0
    assert call.phases == [phase]
    assert call.variables(0)["cache"] == "5"


def test_a_phase_that_is_not_there(call):
    call.environment(teardown=None)
    result = call("teardown", "env.yml")
    assert (result.exit_code, call.engine.jobs) == (2, [])
    assert "has no 'teardown'" in result.stderr


@pytest.mark.smoke
def test_render(call):
    one = call("render", "env.yml", "--phase", "run", "-p", "cache=5")
    (play,) = yaml.load(one.stdout, Loader=yaml.BaseLoader)
    assert play["tasks"][0]["ansible_env.bench.phase"]["env"]["cache"] == "5"
    every = call("render", "env.yml")
    assert [play["name"] for play in yaml.load(every.stdout, Loader=yaml.BaseLoader)] == [
        "Setup a bench",
        "Run a bench",
        "Teardown a bench",
    ]
    assert "no teardown" in every.stdout
    assert every.stdout.count("---") == 1
    wrong = call("render", "env.yml", "--phase", "runn")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "did you mean 'run'?" in wrong.stderr


@pytest.mark.smoke
def test_validate(call):
    result = call("validate", "env.yml", "-i", "h1,", "-p", "cache=5")
    assert result.exit_code == 0
    for words in ("env.yml: OK", "setup, run, teardown", "cache: a whole number from 1 to 100; default 7", "localhost"):
        assert words in result.stdout
    assert call.engine.jobs == []
    call.environment(required_args=["db_host"])
    assert "required    db_host (give them with -p)" in call("validate", "env.yml").stdout
    assert call("validate", "env.yml", "-p", "cache=5").exit_code == 2


def test_schema(call):
    assert "properties" in call("schema").stdout


def test_version(call):
    assert call("--version").stdout.startswith("ansible-env 0.")


def test_setup_prepares_once_and_teardown_cleans_up_once(tmp_path, monkeypatch):
    call = Call(tmp_path, monkeypatch)
    call.environment(setup_once=["echo install"], teardown_once=["echo remove"])
    scripts = []
    call.engine = FakeEngine(["localhost"], lambda phase, host, task: scripts.append(task["script"].strip()) or {})
    for command in ("setup", "run", "teardown"):
        assert CliRunner().invoke(app, [command, str(tmp_path / "env.yml")]).exit_code == 0
    asked = [script for script in scripts if "machine_id" not in script]  # for the fingerprints
    assert [script.split("\n")[-1] for script in asked] == [
        "echo install", "echo set up", "measure --it", "echo clean", "echo remove",
    ]  # fmt: skip
    scripts.clear()
    shown = CliRunner().invoke(app, ["trial", str(tmp_path / "env.yml"), "--trials", "3"])
    assert [scripts.count(f"echo {word}") for word in ("install", "set up", "clean", "remove")] == [1, 3, 3, 1]
    assert "teardown_once on localhost: SUCCEEDED" in shown.stderr
    rendered = CliRunner().invoke(app, ["render", str(tmp_path / "env.yml")]).stdout
    assert rendered.index("echo install") < rendered.index("echo set up") < rendered.index("echo remove")


def test_a_reference_without_a_value_is_reported(call):
    said = call("trial", "env.yml", "-q").stderr
    assert said == "ansible-env: WARNING: env.yml: const_args.path: $root has no value ($$ is a dollar sign)\n"
    before = len(call.engine.jobs)
    call.environment(strict=True)
    refused = call("trial", "env.yml", "-q")
    assert refused.exit_code == 2
    assert "const_args.path: $root has no value" in refused.stderr
    assert len(call.engine.jobs) == before
