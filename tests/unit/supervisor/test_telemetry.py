"""From what a sampler wrote to samples, and what may be asked for."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_env import ConfigError, EnvironmentConfig, RemoteEnv
from ansible_env.supervisor import telemetry
from ansible_env.supervisor.telemetry import Probe, probes_of, read_samples, sampler
from ansible_env.testing import FakeEngine
from tests.faults.bench import until

SYSTEM = Probe()
COMMAND = Probe(every=5, command="x", pattern=r"(\w+)=(\d+)")


def look(number: int, uptime: float, body: str) -> str:
    return f"@mark {number} {uptime}\n{body}\n"


def counters(busy: int, idle: int, read: int, sent: int) -> str:
    return f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0|1000 400|{read} 0|0 {sent}|0.5"


BASE = "@mark base 1000.0 50.0\n"


def samples(text: str, *probes: Probe) -> list[tuple[float, str, Any]]:
    return [(time.timestamp(), name, value) for time, name, value in read_samples(text.encode(), probes, "mark")]


def test_counters_become_rates() -> None:
    text = look(0, 51, counters(100, 100, 10, 0)) + look(0, 53, counters(150, 250, 30, 600)) + BASE
    found = samples(text, SYSTEM)
    assert [sample for sample in found if sample[0] == 1001] == [
        (1001, "memory_used_bytes", 600 * 1024),
        (1001, "memory_available_bytes", 400 * 1024),
        (1001, "load_1m", 0.5),
    ]
    later = {name: value for time, name, value in found if time == 1003}
    assert later["cpu_percent"] == later["cpu_user_percent"] == 25
    assert later["disk_read_bytes_per_s"] == 20 * 512 / 2
    assert later["network_sent_bytes_per_s"] == 300
    assert later["disk_written_bytes_per_s"] == 0


def test_commands_are_searched_with_their_patterns() -> None:
    text = look(0, 51, "a=1 b=2") + look(0, 56, "@nonsense\na=3") + look(1, 52, "a=9") + BASE
    assert samples(text, COMMAND) == [(1001, "a", 1), (1001, "b", 2), (1006, "a", 3)]


@pytest.mark.parametrize(
    "text", ["", "nonsense", look(0, 1, "a=1"), BASE, "@mark base x y\n" + look(0, 1, "a=1"), BASE + "@mark 0 x\na=1\n"]
)
def test_what_cannot_be_read_is_left_out(text: str) -> None:
    assert samples(text, COMMAND) == []
    assert samples(text.replace("a=1", "||||"), SYSTEM) == []


def test_a_counter_that_goes_back_is_no_negative_rate() -> None:
    text = BASE + look(0, 51, counters(100, 100, 10, 9)) + look(0, 52, counters(1, 1, 1, 1))
    assert all(value >= 0 for _, _, value in samples(text, SYSTEM))


def test_too_many_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "LIMIT", 10)
    text = BASE + "".join(look(0, 50 + i, f"a={i} b={i}") for i in range(20))
    found = samples(text, COMMAND)
    assert len(found) == 10
    assert {name for _, name, _ in found} == {"a", "b"}


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_the_sampler_in_a_shell(shell: str, tmp_path: Path) -> None:
    probes = (SYSTEM, Probe(0.2, 'echo "v=$ae it=$x"', r"(\w+)=(\w+)"))
    (tmp_path / "sampler").write_text(
        sampler(probes, exports="export ae=1\nexport x='a b'\n", shell="bash", mark="mark")
    )
    script = "set -u\nnow() { t=$(date +%s); }\n. ./sampler\n"
    process = subprocess.Popen([*shell.split(), "-c", script], cwd=tmp_path, start_new_session=True)
    try:
        until(
            lambda: (tmp_path / "samples.1").exists() and (tmp_path / "samples.1").read_text().count("v=") > 1, "looks"
        )
    finally:  # as the supervisor ends it, with all that is in its process group
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    data = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("samples.*")))
    found = read_samples(data, probes, "mark")
    names = [name for _, name, _ in found]
    assert names.count("v") >= 2
    assert {"memory_used_bytes", "load_1m"} <= set(names)
    assert all(abs((time - datetime.now(UTC)).total_seconds()) < 60 for time, _, _ in found)
    assert (tmp_path / "sampler").read_text() == ""


# -- what may be asked for ------------------------------------------------------------------------------


def config(telemetry: Any) -> EnvironmentConfig:
    return EnvironmentConfig.from_mapping({"name": "x", "run": "true", "telemetry": telemetry})


def test_forms_of_the_key() -> None:
    assert config(True).telemetry == config([{}]).telemetry
    assert config(False).telemetry == config([]).telemetry == ()
    (probe,) = config([{"command": "x", "pattern": r"(a)=(\d)", "every": "10s"}]).telemetry
    assert probe.every == 10


@pytest.mark.parametrize(
    "wrong",
    [
        [{"command": "x"}],
        [{"pattern": r"(a)(b)"}],
        [{"command": "x", "pattern": "a"}],
        [{"every": 0}],
        [{"every": "10ms"}],
        [{"evrey": 1}],
        "yes",
        [1],
    ],
)
def test_what_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="telemetry"):
        config(wrong)


@pytest.mark.parametrize(
    "wrong", [{"every": 0}, {"command": "x"}, {"bogus": 1}, {"every": "x"}, {"command": "x", "pattern": "("}]
)
def test_what_the_task_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"telemetry|regular expression|float"):
        probes_of([wrong])


def test_status_tells_the_telemetry_of_the_last_run() -> None:
    told = [["2026-01-01T00:00:01+00:00", "a", 1], ["nonsense"], ["2026-01-01T00:00:00+00:00", "b", 2.5]]
    engine = FakeEngine(["h1", "h2"], lambda phase, host, task: {"telemetry": told if host == "h1" else []})
    with RemoteEnv(config=config(True), engine=engine) as env:
        assert env.setup()
        assert env.status()[2] == []
        env.run()
        names = [name for _, name, _ in env.status()[2]]
        assert names == ["b{h1}", "a{h1}"]
        assert env.results["run"].to_dict()["hosts"]["h1"]["telemetry"][0] == told[0]
        assert env.setup()
        assert env.status()[2] == []
