"""`report`: an experiment as a page, JUnit XML or Markdown."""

from __future__ import annotations

import contextlib
from importlib import import_module

from ansible_env.cli.files import write_whole
from ansible_env.cli.query_options import ReportForm, ReportOptions
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.store import Store

_FORMS = {
    ".html": ReportForm.HTML,
    ".htm": ReportForm.HTML,
    ".xml": ReportForm.JUNIT,
    ".md": ReportForm.MARKDOWN,
}


def reported(options: ReportOptions) -> str:
    """Write the report, or return it where no file is named.

    Raises:
        ConfigError: there is no such experiment, or the file cannot be written.
        StoreError: the store cannot be read.
    """
    form = options.form or (_FORMS.get(options.file.suffix.lower()) if options.file else ReportForm.HTML)
    if form is None:
        hint = "call it .html, .xml or .md, or say --format"
        raise ConfigError(Problem("the form of the report is not known by this name", "-o", options.file, hint=hint))
    made = import_module("ansible_env.report")  # the templates are needed by no other command
    with contextlib.closing(Store(options.store)) as store:
        data = made.collect(store, options.experiment, options.best)
    text: str = {
        ReportForm.HTML: made.html,
        ReportForm.JUNIT: made.junit_of,
        ReportForm.MARKDOWN: made.markdown,
    }[form](data)
    if options.file is None:
        return text
    write_whole(options.file.expanduser(), text, "-o")
    return ""
