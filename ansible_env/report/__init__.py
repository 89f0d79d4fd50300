"""Reports of an experiment in the store: an HTML page, JUnit XML and Markdown.

with Store() as store:
Path("report.html").write_text(html(collect(store, "sqlite", best="score:max")))
"""

from __future__ import annotations

from ansible_env.report.data import ReportData, collect
from ansible_env.report.junit import Check, Suite, junit
from ansible_env.report.markdown import markdown
from ansible_env.report.page import html
from ansible_env.results.host_result import HostResult
from ansible_env.storage.database.records import StoredHost

__all__ = ["Check", "ReportData", "Suite", "collect", "html", "junit", "junit_of", "markdown"]


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
