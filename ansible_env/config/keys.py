"""The keys of an environment file: their types, defaults and descriptions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ansible_env.config.fields import (
    ConstArgs,
    FileName,
    FilePatterns,
    GroupsField,
    HostParams,
    Names,
    NonEmpty,
    PhaseNames,
    Renames,
    Script,
    Secrets,
    Tasks,
)
from ansible_env.config.groups import (
    Aggregate,
    AssertionsField,
    DisturbedIfField,
    NotNegative,
    Order,
    Positive,
    RequireField,
    RetryOn,
    Serial,
    Share,
    SuccessField,
    ValidField,
)
from ansible_env.config.times import Pause, Probes, Timeouts
from ansible_env.config.tunables import TunableGroups
from ansible_env.results.disturbance import DisturbanceLimits
from ansible_env.results.outcomes import Kind
from ansible_env.results.policies import Success
from ansible_env.results.requirements import HostRules


class EnvironmentKeys(BaseModel):
    """The keys of an environment file. Keys that mlos_bench has as well mean the same."""

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
    setup_once: Script = Field(
        default=(),
        description="Prepares a host before its first trial, once in a call; comes before `setup`. Items as in "
        "`setup`. It sees the values of tunables that all trials share, and the defaults of the others.",
    )
    teardown_once: Script = Field(
        default=(),
        description="Cleans up a host after its last trial, once in a call; always runs. Items as in `setup`.",
    )
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
        description="Parameters that have their own value for each host: parameter to the host's variable in the "
        "inventory. Scripts get them like any other, by `shell_env_params`.",
    )
    shell_env_params: Names = Field(
        default=(),
        description="Parameters that the scripts get as environment variables. Characters other than ASCII letters, "
        "digits and `_` become `_` in the variable's name.",
    )
    shell_env_params_rename: Renames = Field(
        default={}, description="More exports, under your own names: environment variable to parameter."
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
    strict: bool = Field(
        default=False,
        description="Whether a `$name` in const_args that has no value is an error. If not, it stays as it is, as in "
        "mlos_bench, with a warning.",
    )
    experiment_id: str | None = Field(
        default=None,
        description="Default of the parameter `experiment_id`. Without it: the environment's name, with `-` for "
        "characters that have a meaning in paths.",
    )

    results_stdout_pattern: str | None = Field(
        default=None,
        description="Regular expression for the metrics in the stdout of `run`, with MULTILINE: either two groups, "
        "a metric's name and its value, or named groups, one for each metric.",
    )
    results_json: bool = Field(
        default=False,
        description="Whether the stdout of `run` ends with a JSON object of metrics, on its last line or indented over "
        "several, as tools print it. Values in objects have dotted names; arrays are left out. Together with a "
        "pattern, both are read; JSON overrides equal names.",
    )
    metrics: dict[str, str] = Field(
        default={},
        description="Metrics by the paths of their values in the JSON object, as `read_iops: jobs.0.read.iops`: keys "
        "and indexes of arrays. Without `results_json`, these values alone are metrics.",
    )
    results_file: FileName | None = Field(
        default=None,
        description="A file that the last script of `run` writes on the host, with the metrics as JSON, or as CSV if "
        "its name ends with `.csv`. `results_json` and `metrics` are about this file then, and not about stdout; "
        "without either, all values outside of arrays are metrics.",
    )
    required_metrics: Names = Field(
        default=(), description="Metrics without which a run has failed. Each must be a finite number."
    )
    valid: ValidField = Field(
        default=(),
        description="What metrics must be: metric, or a pattern as `*_errors`, to one rule or a list. A rule is a "
        "comparison such as `> 0` or `<= 12 ms`, `finite` or `any`. A host with a metric that breaks a rule has failed "
        "with the outcome kind `metrics_invalid`. So has a host with a metric that is NaN or infinite, unless a rule "
        "for it is `any`.",
    )

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
    retries: NotNegative = Field(
        default=0, description="How often a phase is retried on hosts of `retry_on`, and of `on_disturbed`."
    )
    retry_on: RetryOn = Field(
        default=(Kind.UNREACHABLE, Kind.AUTH), description="The outcome kinds after which a host is retried."
    )
    stop_after: Positive | None = Field(
        default=None,
        description="After how many trials in a row that failed alike, with the same outcome kind and message, a sweep "
        "or a tuning run starts no further trial. Default: never.",
    )
    settle: Pause = Field(
        default=0.0, description="How long to wait between setup and run, for what setup has stirred up to calm down."
    )
    cooldown: Pause = Field(default=0.0, description="How long a host rests between two trials.")
    splay: Pause = Field(
        default=0.0,
        description="Longest of the random waits before run, so that trials that start together do not run in step. "
        "The trial's number decides the wait.",
    )
    forks: Positive | None = Field(default=None, description="Hosts handled at once. Default: all, up to 50.")
    serial: Serial = Field(default=(), description="Ansible's `serial`: handle the hosts in batches.")
    order: Order | None = Field(default=None, description="Ansible's `order`: the order of the hosts.")

    exclusive: bool = Field(
        default=True,
        description="Whether a host is used by one trial at a time. A host that another trial uses has the outcome "
        "kind `busy`; `false` shares the hosts.",
    )
    wait_for_hosts: Pause = Field(
        default=0.0,
        description="How long a trial waits for hosts that other trials use, before its first phase. It takes all of "
        "its hosts at once. Default: it does not wait.",
    )
    require: RequireField = Field(
        default=HostRules(),
        description="What a host must be before run starts there: facts to values, or to comparisons such as "
        "`< 0.5`, and `commands`, programs that must exist. A host that differs has the outcome kind `unfit`.",
    )
    disturbed_if: DisturbedIfField = Field(
        default=DisturbanceLimits(),
        description="From when on a run is marked as disturbed by something else on its host: what is measured to a "
        "comparison such as `> 50`, or to `off`. Others keep their limits.",
    )
    on_disturbed: Literal["keep", "retry"] = Field(
        default="keep",
        description="`retry`: run is repeated on a host where it was disturbed, up to `retries` times. The last result "
        "counts, marked if it was disturbed, too.",
    )
    resource_metrics: bool = Field(
        default=False,
        description="Whether what `run` has used is among its metrics: cpu_user_s, cpu_system_s, max_rss_bytes, "
        "io_read_bytes and io_written_bytes.",
    )
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
    collect: FilePatterns = Field(
        default=(),
        description="Files to bring from each host into the bundle after `run`, also if it failed or timed out: names "
        "with `*`, `?` and `[a-z]`, as `out/*.json`. Relative ones are relative to the user's home.",
    )
    collect_limit_mib: Positive = Field(
        default=100,
        description="Most MiB to collect from a host. A file that does not fit is left out, which the result notes.",
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
