"""The environment file: what to run on the hosts, with which parameters, and what to measure.

It is YAML, JSON or JSONC. Keys that mlos_bench has as well mean the same
(`mlos_bench/config/schemas/environments/`), and an mlos_bench file for a RemoteEnv loads unchanged. A file is checked
as a whole: one ConfigError lists everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, ValidationInfo, model_validator

from ansible_env.config.assertions import AssertionsField
from ansible_env.config.checks import config_faults, unusable_text
from ansible_env.config.documents import Document, KeyPath, key_text, read_document
from ansible_env.config.faults import Fault, faults_of, refuse
from ansible_env.config.fields import (
    PHASES,
    ConstArgs,
    GroupsField,
    HostParams,
    Names,
    NonEmpty,
    PhaseNames,
    Renames,
    Script,
    Secrets,
    SecretSource,
    Tasks,
)
from ansible_env.config.forms import FLAT_EXTRA_KEYS, Form, ambiguous_faults, read_form
from ansible_env.config.groups import Aggregate, NotNegative, Order, Positive, RetryOn, Serial, Share, SuccessField
from ansible_env.config.items import path_faults
from ansible_env.config.telemetry import Probes
from ansible_env.config.text import kind_of
from ansible_env.config.times import Timeouts
from ansible_env.config.tunables import TunableGroups
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.outcomes import Kind
from ansible_env.results.policies import GroupPolicy, Success

__all__ = ["EnvironmentConfig", "json_schema"]


class EnvironmentConfig(BaseModel):
    """A benchmark environment: up to three phases that run on hosts, their parameters and their metrics."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        serialize_by_alias=True,
    )

    name: NonEmpty = Field(description="Name of the environment.")
    description: str | None = Field(default=None, description="Purpose of the environment.")
    hosts: NonEmpty = Field(default="all", description="The hosts it runs on: an Ansible host pattern.")

    setup: Script = Field(
        default=(),
        description="Prepares the hosts: shell text, Ansible tasks and blocks (mappings), `role: name`, "
        "`tasks: file.yml`, or `import_playbook: file.yml`.",
    )
    run: Script = Field(default=(), description="The benchmark; its stdout holds the metrics. Items as in `setup`.")
    teardown: Script = Field(default=(), description="Cleans up; always runs. Items as in `setup`.")
    handlers: Tasks = Field(
        default=(),
        description="Handlers for the `notify` of your own tasks. They run before the next script and at the end.",
    )

    const_args: ConstArgs = Field(
        default={},
        description="Parameters with default values: scalars, or lists of scalars. `$name` and `${name}` in a text "
        "are replaced by another one of them, or by a global parameter. Globals of the same name replace the value.",
    )
    required_args: Names = Field(default=(), description="Parameters that a global or a tunable must give.")
    tunable_params: Names | None = Field(
        default=None,
        description="Groups of tunables that this environment uses; `$name` selects the groups that the global "
        "`tunable_params_map` lists under that name. Default: every group of `tunables` in this file (in a file of "
        "mlos_bench's form: none).",
    )
    tunables: GroupsField = Field(
        default_factory=TunableGroups, description="Tunable parameters, in the format of mlos_bench."
    )
    host_params: HostParams = Field(
        default={},
        description="Parameters that have a value of their own for each host: parameter to the host's variable in the "
        "inventory. Scripts get them like any other, by `shell_env_params`.",
    )
    shell_env_params: Names = Field(
        default=(),
        description="Parameters that the scripts get as environment variables. Characters other than ASCII letters, "
        "digits and `_` become `_` in the variable's name.",
    )
    shell_env_params_rename: Renames = Field(
        default={}, description="More exports, under names of your own: environment variable to parameter."
    )
    vars_params: Names = Field(
        default=(),
        description="Parameters that Ansible tasks get as variables of the same names, besides `ansible_env_params`; "
        "`*` selects all whose names are valid variables.",
    )
    secret_params: Secrets = Field(
        default={},
        description="Parameters that must not appear in any process list, playbook, event, log or store. A list of "
        "names, or a mapping of names to the source of the value: `{env: VARIABLE}` or `{file: path}` on the "
        "controller, or null for a value that is given like any other parameter.",
    )
    experiment_id: str | None = Field(default=None, description="Default of the parameter `experiment_id`.")

    results_stdout_pattern: str | None = Field(
        default=None,
        description="Regular expression for the metrics in the stdout of `run`, with MULTILINE: either two groups, "
        "a metric's name and its value, or named groups, one for each metric.",
    )
    results_json: bool = Field(
        default=False,
        description="Whether the last line of the stdout of `run` is a JSON object of metrics. Together with a "
        "pattern, both are read; JSON overrides equal names.",
    )
    required_metrics: Names = Field(default=(), description="Metrics without which a run has failed.")

    aggregate: Aggregate = Field(
        default={},
        description="How metrics of several hosts become one: metric, or a pattern as `latency_*`, to sum, mean, "
        "median, min, max, p0 to p99.9, stdev, cv, count, harmonic_mean or geometric_mean. Default: mean.",
    )
    per_host_metrics: bool = Field(
        default=False, description="Whether the metrics of a group include `metric{host}` of each host."
    )
    success: SuccessField = Field(
        default=Success(),
        description="How many hosts must succeed: all, any, majority, {at_least: 3} or {fraction: 0.9}.",
    )
    max_unreachable: Share = Field(
        default=None,
        description="How many hosts, or what share of them such as `10%`, may be unreachable and do not count then. "
        "Default: an unreachable host has failed.",
    )
    on_host_failure: Literal["continue", "stop"] = Field(
        default="continue", description="Whether setup and run continue on the other hosts when a host fails."
    )
    retries: NotNegative = Field(default=0, description="How often a phase is retried on hosts of `retry_on`.")
    retry_on: RetryOn = Field(
        default=(Kind.UNREACHABLE, Kind.AUTH), description="The outcome kinds after which a host is retried."
    )
    forks: Positive | None = Field(default=None, description="Hosts handled at once. Default: all, up to 50.")
    serial: Serial = Field(default=(), description="Ansible's `serial`: handle the hosts in batches.")
    order: Order | None = Field(default=None, description="Ansible's `order`: the order of the hosts.")

    start: Literal["when_ready", "together"] = Field(
        default="when_ready",
        description="`together`: the last script of run is staged on every host and starts on all of them at the same "
        "time, whatever `forks` is. A script with `hosts` may set this for itself.",
    )
    telemetry: Probes = Field(
        default=(),
        description="What to sample on the hosts while `run` runs. Items with `command`, `pattern` and `every`; "
        "without a command: CPU, memory, disks and network. true samples those each second.",
    )
    assertions: AssertionsField = Field(
        default=(),
        alias="assert",
        description="Comparisons that metrics must satisfy, for CI: metric to one comparison or a list, such as "
        "`>= 1000`, `<= 12 ms`, `>= 0.95 * baseline`, `<= baseline + 5%`.",
    )
    baseline: NonEmpty | None = Field(
        default=None,
        description="The source of `baseline` in `assert`: a JSON file, relative to this one, the directory of a "
        "bundle, or trials of the store, named as for `compare`.",
    )

    timeouts: Timeouts = Field(default=Timeouts(), description="Deadlines.")
    fail_fast: bool = Field(
        default=False,
        description="Whether a script stops at its first failing line. If not, as in mlos_bench, the lines are one "
        "script whose last command determines the exit status.",
    )
    shell: NonEmpty = Field(default="bash", description="The shell for the scripts: a name or a path on the hosts.")
    keep_running: PhaseNames = Field(
        default=("setup",), description="Phases whose background processes continue to run after the phase."
    )
    reboot: PhaseNames = Field(default=(), description="Phases whose scripts may reboot their host.")

    become: bool = Field(default=False, description="Whether to become another user on the hosts.")
    become_user: NonEmpty | None = Field(default=None, description="The user to become. Ansible's default is root.")
    become_method: NonEmpty | None = Field(default=None, description="How to become that user: sudo, su, …")
    gather_facts: bool = Field(default=False, description="Whether Ansible gathers facts first, for your own tasks.")

    wait_boot: bool = Field(default=False, description="Whether setup starts the hosts, if it can, and waits for them.")
    start_host: Tasks = Field(default=(), description="Ansible tasks, run on the controller, that start a host.")
    stop_host: Tasks = Field(default=(), description="Ansible tasks, run on the controller, that stop a host.")
    restart_host: Tasks = Field(default=(), description="Ansible tasks, run on the controller, that restart a host.")

    _source: Path | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        context = info.context or {}
        faults = list(config_faults(self, context.get("bad", frozenset()), mlos=context.get("mlos", False)))
        if info.context is None:  # constructed directly, not by from_mapping
            faults += unusable_text({name: getattr(self, name) for name in type(self).model_fields})
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
        faults += [(form.path(at), what, hint) for at, what, hint in path_faults(form.fields, PHASES, base_dir)]
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
        faults = list(unusable_text(form.fields))
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

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that are not empty, in their order."""
        return tuple(phase for phase in PHASES if getattr(self, phase))

    @property
    def group_policy(self) -> GroupPolicy:
        """How the results of hosts become the result of the group."""
        return GroupPolicy(self.success, self.max_unreachable, self.aggregate, self.per_host_metrics)

    @property
    def secret_names(self) -> frozenset[str]:
        """The names of the secret parameters."""
        return frozenset(self.secret_params)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an environment file, for editors."""
    from ansible_env.config.schema import build  # at call time: it imports this module

    return build(EnvironmentConfig)
