"""Files of a script come into the bundle, and metrics out of one, with every engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_env import Kind
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.replay import replay
from ansible_env.supervisor.file_payloads import PIECE
from tests.engines import ALL
from tests.faults.bench import Bench

WRITE = f"""\
rm -rf out; mkdir out; echo '{{"jobs": [{{"read": {{"iops": 12.5}}}}]}}' >out/fio.json
head -c {2 * PIECE + 5} /dev/zero | tr '\\0' x >out/trace.bin
"""
FILES = ("out/fio.json", "out/trace.bin")


@pytest.mark.parametrize("engine", ALL, indirect=True)
def test_files_and_metrics(remote: Bench, tmp_path: Path) -> None:
    metrics = {"results_file": "out/fio.json", "metrics": {"iops": "jobs.0.read.iops"}, "required_metrics": ["iops"]}
    result = remote.phase(WRITE, limit="h1,h2", logs=tmp_path / "logs", collect=["out/*"], **metrics)
    assert {name: host.kind for name, host in result.hosts.items()} == {"h1": Kind.OK, "h2": Kind.OK}, result
    for name, host in result.hosts.items():
        assert (host.files, host.files_note, host.metrics) == (FILES, "", {"iops": 12.5})
        directory = tmp_path / "logs" / "run" / f"{name}.files"
        assert host.files_dir == str(directory)
        assert json.loads((directory / "out/fio.json").read_text())["jobs"][0]["read"]["iops"] == 12.5
        assert (directory / "out/trace.bin").read_bytes() == b"x" * (2 * PIECE + 5)
    remote.assert_clean()


@pytest.mark.parametrize(
    ("end", "kind"), [("exit 3", Kind.EXIT), ("sleep 60", Kind.TIMEOUT), ("kill -9 $$", Kind.SIGNAL)]
)
def test_after_a_failure(anywhere: Bench, tmp_path: Path, end: str, kind: Kind) -> None:
    host = anywhere.host(
        f"mkdir -p {tmp_path}; cd {tmp_path}\n{WRITE}{end}",
        logs=tmp_path / "logs",
        collect=[f"{tmp_path}/out/*"],
        timeouts={"run": 3},
    )
    assert (host.kind, len(host.files), host.files_note) == (kind, 2, "")
    assert host.files_dir is not None
    assert (Path(host.files_dir) / host.files[1]).stat().st_size == 2 * PIECE + 5


@pytest.mark.skipif(not shutil.which("fio"), reason="there is no fio")
def test_the_json_of_fio(remote: Bench) -> None:
    run = "fio --name=j --size=1M --rw=read --filename=fio.data --output-format=json --output=fio.json; rm fio.data"
    metrics = {"read_bytes": "jobs.0.read.total_ios", "p99": "jobs.0.read.clat_ns.percentile.99.000000"}
    host = remote.host(run, results_file="fio.json", metrics=metrics, required_metrics=list(metrics))
    assert host.kind is Kind.OK, host.message
    assert host.metrics["read_bytes"] == 256


def test_replay_reads_the_copy_in_the_bundle(tmp_path: Path) -> None:
    file, score = tmp_path / "env.yml", tmp_path / "score.json"
    file.write_text(f"name: x\nrun: |\n  echo '{{\"a\": [7]}}' >{score}\nresults_file: {score}\nmetrics: {{a: a.0}}\n")
    command = [
        sys.executable,
        "-m",
        "ansible_env",
        "trial",
        str(file),
        "--no-store",
        "--artifacts",
        str(tmp_path / "out"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    score.unlink()
    (directory,) = (path.parent for path in tmp_path.rglob("bundle.json"))
    bundle = Bundle.open(directory)
    assert replay(bundle, bundle.manifest["rules"])["run"].metrics == {"a": 7}
    (copy,) = directory.rglob("score.json")
    copy.write_text('{"a": [8]}')
    assert replay(bundle, bundle.manifest["rules"])["run"].metrics == {"a": 8}
    copy.unlink()
    (host,) = replay(bundle, bundle.manifest["rules"])["run"].hosts.values()
    assert (host.kind, host.message) == (Kind.METRICS_MISSING, f"results_file {score}: it is not in the bundle")


def test_as_another_user(remote: Bench, tmp_path: Path) -> None:
    """By a method without stdin: what is read comes through a terminal."""
    more = {"become": True, "become_user": "bench", "become_method": "su"}
    host = remote.host(f"{WRITE}printf '\\r\\n\\001\\004\\377' >out/odd", logs=tmp_path, collect=["out/*"], **more)
    assert (host.kind, host.files_note) == (Kind.OK, "")
    assert host.files_dir is not None
    assert (Path(host.files_dir) / "out/odd").read_bytes() == b"\r\n\x01\x04\xff"


def test_a_file_of_an_earlier_run_gives_no_metrics(remote: Bench) -> None:
    remote.host("echo '{\"score\": 1}' >old.json; touch -d '1 hour ago' old.json")
    host = remote.host("true", results_file="old.json")
    assert host.kind is Kind.METRICS_MISSING
    assert host.message == "results_file old.json: it is older than the script, which has not written it"
    host = remote.host("rm old.json", results_file="old.json")
    assert host.message == "results_file old.json: there is no such file"


def test_after_tasks_and_scripts_in_the_background(remote: Bench, tmp_path: Path) -> None:
    """Each script collects, and after a task of the author the last task of the phase does."""
    run = [
        {"script": "rm -f early late; touch early; sleep 60", "background": "until_end"},
        "while [ ! -e early ]; do sleep 0.1; done; echo score=1",
        {"name": "Write", "ansible.builtin.raw": "touch late"},
    ]
    host = remote.host(run, logs=tmp_path, collect=["early", "late"])
    assert (host.kind, sorted(host.files)) == (Kind.OK, ["early", "late"])
