"""The options of the commands that ask the store, or open a bundle."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ansible_env.cli.options import Common
from ansible_env.cli.signature import option

_CHOICE, _FORM = "Which trials", "How they are shown"


class RowOutput(enum.StrEnum):
    """Forms of rows."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(kw_only=True)
class StoreOptions(Common):
    """Which store, and how what is in it is shown."""

    store: Annotated[
        str | None,
        option(
            "--store",
            metavar="URL",
            help="Database of results: a file, or a URL of SQLAlchemy. Default: $ANSIBLE_ENV_STORE, or store.sqlite "
            "beside the artifacts.",
        ),
    ] = None
    output: Annotated[
        RowOutput, typer.Option("-o", "--output", rich_help_panel=_FORM, help="Form of the rows on stdout.")
    ] = RowOutput.TABLE


@dataclass(kw_only=True)
class ResultsOptions(StoreOptions):
    """Those of `results`."""

    experiment: Annotated[
        str | None,
        typer.Argument(metavar="[EXPERIMENT]", help="Only trials of this one. Default: of all.", show_default=False),
    ] = None
    best: Annotated[
        str | None,
        option("--best", panel=_CHOICE, metavar="METRIC:max|min", help="Those that succeeded, the best first."),
    ] = None
    where: Annotated[
        list[str] | None,
        option("-w", "--where", panel=_CHOICE, metavar="NAME=VALUE", help="With this parameter. Repeatable."),
    ] = None
    status: Annotated[
        list[str] | None,
        option("--status", panel=_CHOICE, metavar="STATUS", help="With this status, or INTERRUPTED. Repeatable."),
    ] = None
    since: Annotated[
        str | None,
        option("--since", panel=_CHOICE, metavar="TIME", help="Begun since then: 2026-05-01, or 36h, 7d."),
    ] = None
    sort: Annotated[
        str | None,
        option("--sort", panel=_CHOICE, metavar="[-]COLUMN", help="By a metric, parameter or column; - turns it."),
    ] = None
    limit: Annotated[
        int | None,
        option("-n", "--limit", panel=_CHOICE, metavar="N", min=1, help="At most N; a table shows 20 without it."),
    ] = None
    hosts: Annotated[bool, option("--hosts", panel=_FORM, help="A row for each host of each trial.")] = False
    experiments: Annotated[bool, option("--experiments", panel=_FORM, help="The experiments, not the trials.")] = False


@dataclass(kw_only=True)
class CompareOptions(StoreOptions):
    """Those of `compare`."""

    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="EXPERIMENT, EXPERIMENT:name=value, ids as in 3,5-9, or a bundle.", show_default=False
        ),
    ]
    second: Annotated[str, typer.Argument(metavar="B", help="What A is compared with.", show_default=False)]
    metric: Annotated[
        list[str] | None, option("-m", "--metric", metavar="NAME", help="Only this metric. Repeatable.")
    ] = None
    alpha: Annotated[
        float,
        typer.Option("--alpha", min=0.0001, max=0.5, help="How often noise may be taken for a difference."),
    ] = 0.05


@dataclass(kw_only=True)
class ReplayOptions(Common):
    """Those of `replay`."""

    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="Directory of a trial, or an exported file.", show_default=False)
    ]
    pattern: Annotated[
        str | None,
        option("--pattern", metavar="REGEX", help="Instead of the environment file's results_stdout_pattern."),
    ] = None
    environment: Annotated[
        Path | None,
        option("--environment", metavar="ENV.yml", help="Read with the pattern and rules of this file instead."),
    ] = None
    save: Annotated[
        bool, option("--save", help="Write the new result into the bundle, which keeps the first, and into the store.")
    ] = False
    store: Annotated[str | None, option("--store", metavar="URL", help="Where --save writes.")] = None
    output: Annotated[
        RowOutput, typer.Option("-o", "--output", help="Form of the results on stdout: table, json, jsonl or csv.")
    ] = RowOutput.TABLE


@dataclass(kw_only=True)
class ExportOptions(Common):
    """Those of `export`."""

    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of a trial.", show_default=False)]
    file: Annotated[
        Path | None,
        option("-o", "--output", metavar="FILE", help="Default: EXPERIMENT-TRIAL-UID.tar.gz in this directory."),
    ] = None


@dataclass(kw_only=True)
class PruneOptions(Common):
    """Those of `prune`."""

    experiment: Annotated[
        str | None,
        typer.Argument(metavar="[EXPERIMENT]", help="Only trials of this one. Default: of all.", show_default=False),
    ] = None
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Begun before then: 30d, 36h, or 2026-05-01.")
    ]
    status: Annotated[
        list[str] | None,
        option("--status", metavar="STATUS", help="Only with this status, or INTERRUPTED. Repeatable."),
    ] = None
    keep_best: Annotated[
        str | None, option("--keep-best", metavar="METRIC:max|min", help="Keep the best of each experiment.")
    ] = None
    keep_last: Annotated[
        int, typer.Option("--keep-last", metavar="N", min=0, help="Keep the newest N of each experiment.")
    ] = 0
    keep: Annotated[int, typer.Option("--keep", metavar="N", min=1, help="How many --keep-best keeps.")] = 10
    dry_run: Annotated[bool, option("-n", "--dry-run", help="Only say what would go.")] = False
    store: Annotated[
        str | None, option("--store", metavar="URL", help="Database of results. Default: $ANSIBLE_ENV_STORE.")
    ] = None


class ReportForm(enum.StrEnum):
    """Forms of a report."""

    HTML = "html"
    JUNIT = "junit"
    MARKDOWN = "markdown"


@dataclass(kw_only=True)
class ReportOptions(Common):
    """Those of `report`."""

    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name in the store.", show_default=False)]
    file: Annotated[
        Path | None,
        option("-o", "--output", metavar="FILE", help="Where to write it; without it, to stdout."),
    ] = None
    form: Annotated[
        ReportForm | None,
        option("--format", help="By default that of FILE's name: .html, .xml (JUnit) or .md; else html."),
    ] = None
    best: Annotated[
        str | None,
        option("--best", metavar="METRIC:max|min", help="What is to be reached. Default: score:max, where it is."),
    ] = None
    store: Annotated[
        str | None, option("--store", metavar="URL", help="Database of results. Default: $ANSIBLE_ENV_STORE.")
    ] = None
