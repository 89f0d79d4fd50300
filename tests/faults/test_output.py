"""Cases 14-19: what a script prints, however much of whatever."""

from __future__ import annotations

import time

import pytest

from ansible_env import ConfigError, Kind, RemoteEnv, Status
from ansible_env.testing import FakeEngine, task_event
from tests.faults.bench import SLACK, Bench
from tests.folding import fold

pytestmark = pytest.mark.ssh
PATTERN = r"^(\w+)=(\S+)$"


def test_14_twenty_megabytes(anywhere: Bench, tmp_path):
    script = "echo first=1; head -c 20000000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo last=2"
    result = anywhere.host(script, results_stdout_pattern=PATTERN, logs=tmp_path / "logs")
    assert (result.kind, result.metrics) == (Kind.OK, {"first": 1, "last": 2})
    assert result.truncated
    assert "bytes left out" in result.stdout
    assert result.stdout.endswith("last=2\n")
    (log,) = (tmp_path / "logs" / "run").glob("*.stdout")
    assert log.stat().st_size > 20_000_000
    anywhere.assert_clean()


def test_15_bytes_that_are_no_text(anywhere: Bench):
    result = anywhere.host(
        "printf 'score=4\\n\\377\\376 caf\\351\\n\\0\\n'; printf '\\377' >&2", results_stdout_pattern=PATTERN
    )
    assert (result.kind, result.metrics) == (Kind.OK, {"score": 4})
    assert result.stdout == "score=4\n\ufffd\ufffd caf\ufffd\n\0\n"
    assert result.stderr == "\ufffd"


def test_16_terminal_output_gives_the_same_metrics(anywhere: Bench):
    script = (
        "printf '\\033[32mcolour=1\\033[0m\\n10%%\\r50%%\\r100%%\\rprogress=2\\ncrlf=3\\r\\n'; "
        "[ -t 1 ] && echo tty=1 || echo tty=0"
    )
    result = anywhere.host(script, results_stdout_pattern=PATTERN)
    assert result.metrics == {"colour": 1, "progress": 2, "crlf": 3, "tty": 0}


def test_17_empty_result_is_no_success():
    """Moot: MAX_EVENT_RES is raised and our results are small. Should it come to one, it is a failure."""
    event = task_event("h1", action="ansible_env.bench.phase", res={})
    result = fold("run", [event], ["h1"])
    assert (result.hosts["h1"].kind, result.status) == (Kind.CONTROLLER, Status.FAILED)


def test_18_pattern_without_end(remote: Bench):
    script = "echo aa=1; head -c 1000000 /dev/zero | tr '\\0' a; echo"
    begun = time.monotonic()
    result = remote.host(script, results_stdout_pattern=r"^((?:a+)+)=(\d+)b$", required_metrics=["aa"])
    assert time.monotonic() - begun < 5 + 2 + 2 * SLACK
    assert (result.kind, result.rc) == (Kind.METRICS_MISSING, 0)
    assert "still matching at its limit" in result.message


def test_19_patterns_that_give_nothing(remote: Bench):
    result = remote.host("echo nothing", results_stdout_pattern=PATTERN)
    assert (result.kind, result.metrics) == (Kind.OK, {})
    result = remote.host("echo nothing", results_stdout_pattern=PATTERN, required_metrics=["score"])
    assert (result.kind, result.status, result.rc) == (Kind.METRICS_MISSING, Status.FAILED, 0)
    assert "score" in result.message
    rules = {"valid": {"score": "> 0"}, "results_stdout_pattern": PATTERN}
    result = remote.host(["echo score=-1", "echo lat=nan"], **rules)
    assert (result.kind, result.status, result.rc) == (Kind.METRICS_INVALID, Status.FAILED, 0)
    assert result.message.startswith("score is -1, and must be > 0; lat is nan, and must be finite")
    assert (result.metrics["score"], result.metrics_partial) == (-1, False)
    for pattern in (r"(\w+)", r"(\w+)=(\w+) (\w+)", "("):
        with pytest.raises(ConfigError):
            RemoteEnv(config={"name": "x", "run": "true", "results_stdout_pattern": pattern}, engine=FakeEngine())
