"""Metrics in a file of JSON or CSV."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_env import ConfigError
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.metrics.json_output import MetricsParseError
from ansible_env.results.metrics.results_file import ResultsFile, file_document

FIO = {"fio version": "fio-3.33", "jobs": [{"read": {"iops": 12.5, "clat_ns": {"percentile": {"99.000000": 70}}}}]}


def read(text: str, name: str = "out.json", scalars: bool = False, **paths: str) -> dict[str, Any]:
    return ResultsFile(name, text.encode(), "", file_document(scalars, paths)).metrics()


def test_json() -> None:
    paths = {"iops": "jobs.0.read.iops", "p99": "jobs.0.read.clat_ns.percentile.99.000000"}
    assert read(json.dumps(FIO, indent=2), **paths) == {"iops": 12.5, "p99": 70}
    assert read("fio: a note\n" + json.dumps(FIO, indent=2), **paths) == {"iops": 12.5, "p99": 70}
    assert read(json.dumps(FIO)) == {"fio version": "fio-3.33"}
    assert read(json.dumps(FIO), scalars=True, iops="jobs.0.read.iops") == {"fio version": "fio-3.33", "iops": 12.5}
    assert read('\ufeff[{"a": 1}, {"a": 2}]', last="-1.a") == {"last": 2}


def test_csv() -> None:
    assert read("metric,value\nscore,42\nhost,db1\n", "o.CSV") == {"score": 42, "host": "db1"}
    assert read("score, 42\nlatency,1.5\n", "o.csv") == {"score": 42, "latency": 1.5}
    assert read("score,p99\n42,1.5\n", "o.csv") == {"score": 42, "p99": 1.5}
    rows = 'time,"iops, all"\n1,500\n2,600\n'
    assert read(rows, "o.csv", first="0.iops, all", last="-1.iops, all") == {"first": 500, "last": 600}


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("o.json", "", "it is empty"), ("o.json", "score=1", "it is no JSON"), ("o.json", "[1, 2]", "2 rows"),
        ("o.csv", "\n", "it is empty"), ("o.csv", "a,b,c\n1,2\n", "not each row"), ("o.csv", "a,b\n1,2\n3,4", "2 rows"),
        ("o.csv", "a" * 200_000, "no CSV"), ("o.json", "[" * 100_000, "it is no JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(name: str, text: str, fault: str) -> None:
    with pytest.raises(MetricsParseError, match=f"results_file {name}: .*{fault}"):
        read(text, name)


def test_a_missing_file_says_why() -> None:
    with pytest.raises(MetricsParseError, match=r"results_file .*: there is no such file"):
        ResultsFile("o.json", None, "there is no such file", file_document(False, None)).metrics()


def test_the_environment_file_is_checked() -> None:
    data = {"name": "x", "run": "true", "results_file": "o.json", "required_metrics": ["score"]}
    config = EnvironmentConfig.from_mapping(data)
    assert config.json_metrics is None
    with pytest.raises(ConfigError, match="metrics has no path for 'score'"):
        EnvironmentConfig.from_mapping({**data, "metrics": {"other": "a"}})
    for bad in (
        {"collect": "../x"}, {"collect": [3]}, {"results_file": "a/../b"}, {"collect_limit_mib": 0},
        {"run": [], "setup": "true", "collect": ["x"]}, {"run": [{"script": "true", "background": True}]},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            EnvironmentConfig.from_mapping({**data, **bad})
