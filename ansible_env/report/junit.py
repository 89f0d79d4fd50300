"""Trials as JUnit XML, for CI: a suite for each trial, a case for each host and each assertion.

The format is the one that Jenkins, GitLab and GitHub Actions read: https://github.com/testmoapp/junitxml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ansible_env.report.formatting import visible
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.storage.database.records import StoredHost

if TYPE_CHECKING:
    from ansible_env.report.data import ReportData

# Code points that are not characters in XML 1.0 (https://www.w3.org/TR/xml/#charsets).
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of an assertion about a trial."""

    name: str
    failure: str = ""
    """The reason for a failure; empty if the assertion holds."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A trial as a suite of JUnit XML, with a case for each host and each assertion."""

    experiment: str
    number: int
    started: datetime
    elapsed: float | None
    hosts: Sequence[HostResult | StoredHost]
    metrics: Mapping[str, object]
    checks: Sequence[Check] = ()
    error: str = ""
    """The reason why the trial could not run; empty if it ran."""


def junit_of(data: ReportData) -> str:
    """Return the trials of a report as JUnit XML. Only the newest trials have hosts."""
    hosts: dict[int, list[HostResult | StoredHost]] = {}
    for host in data.hosts:
        hosts.setdefault(host.trial, []).append(host)
    checks: dict[int, list[Check]] = {}
    for item in data.assertions:
        check = Check(f"{item.metric} {item.comparison}", "" if item.passed else item.message)
        checks.setdefault(item.trial, []).append(check)
    return junit(
        Suite(
            *(trial.experiment, trial.number, trial.started, trial.elapsed, hosts.get(trial.id, [])),
            *(trial.metrics, checks.get(trial.id, ()), trial.error),
        )
        for trial in data.trials
    )


def junit(suites: Iterable[Suite]) -> str:
    """Return trials as JUnit XML."""
    root = ET.Element("testsuites", name="ansible-env")
    root.extend(map(_suite, suites))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(element.get(name, 0)) for element in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(suite: Suite) -> ET.Element:
    name = f"{suite.experiment} trial {suite.number}"
    started = suite.started.replace(tzinfo=None).isoformat(timespec="seconds")
    element = ET.Element("testsuite", name=_text(name), timestamp=started, time=f"{suite.elapsed or 0:.3f}")
    if suite.metrics:
        properties = ET.SubElement(element, "properties")
        for metric, value in suite.metrics.items():
            ET.SubElement(properties, "property", name=_text(metric), value=_text(value))
    cases = [_host(name, host) for host in suite.hosts] + [_check(name, check) for check in suite.checks]
    if suite.error:
        case = ET.Element("testcase", classname=_text(name), name="trial")
        ET.SubElement(case, "error", type="controller", message=_text(suite.error))
        cases.append(case)
    element.extend(cases)
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(len(element.findall(f"*/{tag}"))))
    return element


def _host(suite: str, host: HostResult | StoredHost) -> ET.Element:
    case = ET.Element("testcase", classname=_text(suite), name=_text(host.host), time=f"{host.elapsed or 0:.3f}")
    if host.status.is_succeeded():
        return case
    kind = Kind(host.kind)
    if kind is Kind.NOT_RUN or host.status.is_canceled():
        tag = "skipped"
    else:
        tag = "error" if OUTCOMES[kind].infrastructure else "failure"
    outcome = ET.SubElement(case, tag, message=_text(host.message or kind))
    if tag != "skipped":
        outcome.set("type", str(kind))
    output = host.last_words if isinstance(host, StoredHost) else host.stderr or host.stdout
    outcome.text = _text("\n".join(output.splitlines()[-20:]))
    return case


def _check(suite: str, check: Check) -> ET.Element:
    case = ET.Element("testcase", classname=_text(f"{suite}.assert"), name=_text(check.name))
    if check.failure:
        ET.SubElement(case, "failure", type="assert", message=_text(check.failure))
    return case


def _text(value: object) -> str:
    """Return text without characters that XML forbids or that act on a terminal."""
    lines = map(visible, str(value).split("\n"))
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", "\n".join(lines))
