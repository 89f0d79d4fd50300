"""Trials as JUnit XML, for CI: a suite for each trial, a case for each host, and for each assertion.

The form is that which Jenkins, GitLab and GitHub's actions read:
https://github.com/testmoapp/junitxml.
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

# What XML 1.0 knows as no character (https://www.w3.org/TR/xml/#charsets).
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class HostLike(Protocol):
    """What came of a host: `HostResult` and `StoredHost` are so."""

    @property
    def host(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """How it ended."""

    @property
    def status(self) -> Status:
        """What that stands for."""

    @property
    def message(self) -> str:
        """A sentence about it."""

    @property
    def elapsed(self) -> float | None:
        """Seconds."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was asserted of a trial."""

    name: str
    failure: str = ""
    """Why it does not hold; empty if it does."""


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
    """Why it could not even be tried."""


def junit(suites: Iterable[Suite]) -> str:
    """Return the document."""
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
    found = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    counts = {"failures": found["failure"], "errors": found["error"], "skipped": found["skipped"]}
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
    told = ET.SubElement(case, tag, message=_text(host.message or kind))
    if tag != "skipped":
        told.set("type", str(kind))
    words = getattr(host, "last_words", "") or getattr(host, "stderr", "") or getattr(host, "stdout", "")
    told.text = _text("\n".join(str(words).splitlines()[-20:]))
    return case


def _check(suite: str, check: Check) -> ET.Element:
    case = ET.Element("testcase", classname=_text(f"{suite}.assert"), name=_text(check.name))
    if check.failure:
        ET.SubElement(case, "failure", type="assert", message=_text(check.failure))
    return case


def _text(value: object) -> str:
    """Return text without what no XML may hold, or what would act on a terminal."""
    lines = map(visible, str(value).split("\n"))
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", "\n".join(lines))
