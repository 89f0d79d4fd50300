"""Trials as JUnit XML, for CI: a suite for each trial, a case for each host and each assertion.

The format is the one that Jenkins, GitLab and GitHub Actions read: https://github.com/testmoapp/junitxml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from xml.etree import ElementTree as ET

from ansible_env.report.formatting import visible
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.status import Status

# Code points that are not characters in XML 1.0 (https://www.w3.org/TR/xml/#charsets).
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class HostLike(Protocol):
    """The result of a host, such as `HostResult` and `StoredHost`."""

    @property
    def host(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """The outcome kind."""

    @property
    def status(self) -> Status:
        """The status of the kind."""

    @property
    def message(self) -> str:
        """A sentence about the outcome."""

    @property
    def elapsed(self) -> float | None:
        """Seconds that the script took."""


@dataclass(frozen=True, slots=True)
class Check:
    """An assertion about a trial."""

    name: str
    failure: str = ""
    """Why it failed; empty if it passed."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One trial."""

    experiment: str
    number: int
    started: datetime
    elapsed: float | None
    hosts: Sequence[HostLike]
    metrics: dict[str, object]
    checks: Sequence[Check] = ()
    error: str = ""
    """Why the trial could not run; empty if it did."""


def junit(suites: Iterable[Suite]) -> str:
    """Return the XML document."""
    root = ET.Element("testsuites", name="ansible-env")
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in suites:
        element = _suite(suite)
        root.append(element)
        for name in totals:
            totals[name] += int(element.get(name, 0))
    root.attrib.update({name: str(count) for name, count in totals.items()})
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
    count = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    counts = {"failures": count["failure"], "errors": count["error"], "skipped": count["skipped"]}
    element.attrib.update({"tests": str(len(cases)), **{tag: str(count) for tag, count in counts.items()}})
    return element


def _host(suite: str, host: HostLike) -> ET.Element:
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
    output = getattr(host, "last_words", "") or getattr(host, "stderr", "") or getattr(host, "stdout", "")
    outcome.text = _text("\n".join(str(output).splitlines()[-20:]))
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
