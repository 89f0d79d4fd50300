"""The environment file: what to run on the hosts, with which parameters, and what to measure.

It is YAML, JSON or JSONC. Keys that mlos_bench has as well mean the same
(`mlos_bench/config/schemas/environments/`), and an mlos_bench file for a RemoteEnv loads unchanged. A file is checked
as a whole: one ConfigError lists everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, ValidationError, ValidationInfo, model_validator

from ansible_env.config.checks import config_faults
from ansible_env.config.documents import Document, KeyPath, key_text, read_document
from ansible_env.config.faults import Fault, faults_of, refuse
from ansible_env.config.fields import ONCE, PHASES, SecretSource
from ansible_env.config.forms import FLAT_EXTRA_KEYS, Form, ambiguous_faults, read_form
from ansible_env.config.items import path_faults
from ansible_env.config.keys import EnvironmentKeys
from ansible_env.config.text import kind_of, text_faults
from ansible_env.config.times import Timeouts
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.metrics.json_output import JsonMetrics
from ansible_env.results.metrics.results_file import ResultsFile, file_document
from ansible_env.results.metrics.validity import MetricRules
from ansible_env.results.policies import GroupPolicy


class EnvironmentConfig(EnvironmentKeys):
    """A benchmark environment: up to three phases that run on hosts, their parameters and their metrics."""

    _source: Path | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        context = info.context or {}
        faults = list(config_faults(self, context.get("bad", frozenset()), mlos=context.get("mlos", False)))
        if info.context is None:  # constructed directly, not by from_mapping
            faults += text_faults({name: getattr(self, name) for name in type(self).model_fields})
        if faults:
            refuse(faults)
        return self

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an environment file.

        Raises:
            ConfigError: it lists all problems, with file, line and key.
        """
        path = Path(path)
        return cls._build(read_document(path), path, name=None)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], *, name: str | None = None, source: Path | None = None) -> Self:
        """Make an environment from a mapping of either form.

        Args:
            data: the mapping.
            name: replaces the name in the mapping.
            source: the file that relative paths are relative to; by default, the working directory is.

        Raises:
            ConfigError: it lists all problems.
        """
        return cls._build(Document(data, source or Path()), source, name=name)

    @classmethod
    def _build(cls, document: Document, source: Path | None, *, name: str | None) -> Self:
        data = document.data
        if not isinstance(data, Mapping):
            what = "is empty" if data is None else f"must be a mapping, not {kind_of(data)}"
            raise ConfigError(Problem(what, file=source, hint="an environment has at least 'name' and 'run'"))
        form = read_form(data, source.parent if source else Path(), cls.model_fields)
        if name is not None:
            form.fields["name"] = name
        config, faults = cls._validate(form)
        faults = [(form.path(where), what, hint) for where, what, hint in faults] + form.faults
        base_dir = source.parent if source else Path()
        missing = path_faults(form.fields, (*PHASES, *ONCE), base_dir)
        faults += [(form.path(at), what, hint) for at, what, hint in missing]
        for field in ("const_args", "tunables"):
            faults += ambiguous_faults(document, form.path((field,)))
        problems = [Problem(what, key_text(where), source, document.line(where), hint) for where, what, hint in faults]
        problems.sort(key=lambda problem: problem.line or 0)
        if config is None or problems or form.problems:
            raise ConfigError([*problems, *form.problems])
        config._source = source
        return config

    @classmethod
    def _validate(cls, form: Form) -> tuple[Self | None, list[Fault]]:
        """Return the model, or None, and all faults of the fields and between them."""
        known = [field.alias or name for name, field in cls.model_fields.items()]
        keys: dict[KeyPath, list[str]] = {
            (): [*known, *(() if form.mlos else FLAT_EXTRA_KEYS)],
            ("timeouts",): list(Timeouts.model_fields),
            ("secret_params",): list(SecretSource.model_fields),
        }
        faults = list(text_faults(form.fields))
        context: dict[str, Any] = {"mlos": form.mlos, "bad": frozenset()}
        try:
            return cls.model_validate(form.fields, context=context), faults
        except ValidationError as error:
            faults += faults_of(error, keys)
            single = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
        if single:
            # The checks between fields have not run yet. Run them without the bad fields.
            rest = {key: value for key, value in form.fields.items() if key not in single}
            context["bad"] = frozenset(single)
            try:
                cls.model_validate({"name": "-"} | rest, context=context)
            except ValidationError as error:
                faults += faults_of(error, keys)
        return None, faults

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # For repr(), str() and rich. No values: const_args may contain a secret's default.
        yield "name", self.name
        yield "source", str(self._source) if self._source else None

    @property
    def source(self) -> Path | None:
        """The file that the environment was read from, or None."""
        return self._source

    @property
    def base_dir(self) -> Path:
        """The folder that relative paths in the file are relative to."""
        return self._source.parent if self._source else Path()

    def problem(self, where: KeyPath, message: str) -> Problem:
        """Return a problem with a field or a part of it, with its place in the file."""
        if self._source is None:
            return Problem(message, key_text(where))
        try:
            document = read_document(self._source)
        except ConfigError:  # it has been changed since
            return Problem(message, key_text(where), self._source)
        where = Form(mlos="class" in document.data, top=frozenset({"name", "description"})).path(where)
        return Problem(message, key_text(where), self._source, document.line(where))

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that are not empty, in their order."""
        return tuple(phase for phase in PHASES if getattr(self, phase))

    @property
    def parts(self) -> tuple[str, ...]:
        """The phases that are not empty, and what runs once on each host, in their order."""
        return tuple(part for part in ("setup_once", *PHASES, "teardown_once") if getattr(self, part))

    @property
    def once(self) -> Self | None:
        """The environment of `setup_once` and `teardown_once`, as its setup and its teardown; None without these."""
        if not (self.setup_once or self.teardown_once):
            return None
        parts = {phase: getattr(self, part) for part, phase in ONCE.items()}
        return self.model_copy(update={**parts, **dict.fromkeys(ONCE, ()), "run": (), "wait_boot": False})

    @property
    def for_one_trial(self) -> Self:
        """The same environment, in which `setup_once` and `teardown_once` belong to setup and teardown."""
        if self.once is None:
            return self
        end = ({"name": "Begin another script", "ansible.builtin.meta": "noop"},)
        setup = (*self.setup_once, *(end if self.setup_once else ()), *self.setup)
        teardown = (*self.teardown, *(end if self.teardown_once else ()), *self.teardown_once)
        return self.model_copy(update={**dict.fromkeys(ONCE, ()), "setup": setup, "teardown": teardown})

    @property
    def group_policy(self) -> GroupPolicy:
        """How the results of hosts become the result of the group."""
        return GroupPolicy(self.success, self.max_unreachable, self.aggregate, self.per_host_metrics)

    @property
    def json_metrics(self) -> JsonMetrics | None:
        """Which values of JSON output are metrics; None if the environment reads none."""
        return JsonMetrics.of(self.results_json, self.metrics) if self.results_file is None else None

    def results_of(self, data: bytes | None, problem: str = "it is not in the bundle") -> ResultsFile | None:
        """Return the file with metrics, with this content; None if the environment has no such file."""
        if self.results_file is None:
            return None
        return ResultsFile(self.results_file, data, problem, file_document(self.results_json, self.metrics))

    @property
    def metric_rules(self) -> MetricRules:
        """What the metrics of a host must be."""
        return MetricRules(self.required_metrics, self.valid)

    @property
    def secret_names(self) -> frozenset[str]:
        """The names of the secret parameters."""
        return frozenset(self.secret_params)
