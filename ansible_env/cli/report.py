"""`report`: an experiment as a page, JUnit XML or Markdown."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from ansible_env.cli.options import STORE, Common, argument, option
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.data import collect
from ansible_env.report.junit import junit_of
from ansible_env.report.markdown import markdown
from ansible_env.report.page import html
from ansible_env.storage.bundle.files import write_whole
from ansible_env.storage.store import Store


class ReportForm(enum.StrEnum):
    """Forms of a report."""

    HTML = "html"
    JUNIT = "junit"
    MARKDOWN = "markdown"


_FORMS = {".html": ReportForm.HTML, ".htm": ReportForm.HTML, ".xml": ReportForm.JUNIT, ".md": ReportForm.MARKDOWN}


@dataclass(kw_only=True)
class ReportOptions(Common):
    """Options of `report`."""

    experiment: str = argument("EXPERIMENT", "Its name in the store.")
    file: Path | None = option("-o, --output FILE", "The file to write. Default: stdout.")
    form: ReportForm | None = option("--format", "Default: that of FILE's name: .html, .xml (JUnit) or .md; else html.")
    best: str | None = option("--best METRIC:max|min", "The objective. Default: score:max, if there is a score.")
    store: str | None = option("--store URL", STORE)


def report(options: ReportOptions) -> str:
    """Make a report of an experiment: an HTML page, JUnit XML for CI, or Markdown for a pull request."""
    form = options.form or (_FORMS.get(options.file.suffix.lower()) if options.file else ReportForm.HTML)
    if form is None:
        hint = "use a name with .html, .xml or .md, or give --format"
        raise ConfigError(
            Problem("this name does not determine the format of the report", "-o", options.file, hint=hint)
        )
    with Store(options.store) as store:
        data = collect(store, options.experiment, options.best)
    text = {ReportForm.HTML: html, ReportForm.JUNIT: junit_of, ReportForm.MARKDOWN: markdown}[form](data)
    if options.file is None:
        return text
    write_whole(options.file.expanduser(), text, "-o")
    return ""
