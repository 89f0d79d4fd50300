"""`replay` and `export`: read a bundle again, or write it to one file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_env.cli import console
from ansible_env.cli.exits import Exit, exit_of_trial
from ansible_env.cli.options import STORE, Common, Output, argument, option
from ansible_env.cli.tabular import RowOutput
from ansible_env.cli.trial_output import Writer
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.metrics.pattern import compile_pattern
from ansible_env.storage.bundle import archive
from ansible_env.storage.bundle.bundle import RESULT, Bundle
from ansible_env.storage.bundle.origin import rules_of
from ansible_env.storage.bundle.reading import read_result, read_trial
from ansible_env.storage.bundle.replay import replay as read_again
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import StoreWriter


@dataclass(kw_only=True)
class ReplayOptions(Common):
    """Options of `replay`."""

    bundle: Path = argument("BUNDLE", "Directory of a trial, or an exported file.")
    pattern: str | None = option("--pattern REGEX", "Instead of results_stdout_pattern in the environment file.")
    environment: Path | None = option("--environment ENV.yml", "Use the pattern and rules of this environment file.")
    save: bool = option(
        "--save", "Write the new result to the store and to the bundle, which keeps the first result.", default=False
    )
    store: str | None = option("--store URL", STORE)
    output: RowOutput = option(
        "-o, --output", "Form of the results on stdout: table, json, jsonl or csv.", default=RowOutput.TABLE
    )


@dataclass(kw_only=True)
class ExportOptions(Common):
    """Options of `export`."""

    bundle: Path = argument("BUNDLE", "Directory of a trial.")
    file: Path | None = option("-o, --output FILE", "Default: EXPERIMENT-TRIAL-UID.tar.gz in this directory.")


def replay(options: ReplayOptions) -> Exit:
    """Read the metrics of a trial from its logs again, with another pattern or other rules. No host is touched."""
    if options.output is RowOutput.PARQUET:
        raise ConfigError(Problem("a replay is one trial: table, json, jsonl or csv", "--output"))
    if options.save and options.bundle.is_file():
        raise ConfigError(Problem("an exported file is not changed", "--save", options.bundle))
    with archive.opened(options.bundle.expanduser()) as bundle:
        rules = _rules(options, bundle)
        data = read_result(bundle.directory / RESULT)
        trial = read_trial(bundle, data, read_again(bundle, rules))
        if options.save:
            with Store(options.store) as store:
                bundle.replace_result(trial.to_dict(output=True), rules)
                StoreWriter(store, console.say_warning).on_trial_finished(trial)
    writer = Writer(Output(options.output.value), sys.stdout)
    writer.add(trial)
    writer.close()
    return exit_of_trial(trial)


def export(options: ExportOptions) -> str:
    """Write a bundle to one file, to send it to another person. `replay` reads that file as well."""
    return f"{archive.export(Bundle.open(options.bundle.expanduser()), options.file)}\n"


def _rules(options: ReplayOptions, bundle: Bundle) -> dict[str, Any]:
    rules = dict(bundle.manifest["rules"])
    if options.environment is not None:
        rules = rules_of(EnvironmentConfig.load(options.environment))
    if options.pattern is not None:
        compile_pattern(options.pattern)
        rules["results_stdout_pattern"] = options.pattern
    return rules
