"""The configuration of an `AnsibleService`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ansible_env.config.documents import key_text
from ansible_env.config.faults import faults_of
from ansible_env.config.fields import PhaseName
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.metrics.parse import parse_value

HOST_KEYS = ("ansible_host_pattern", "vmName", "hostName", "ssh_hostname")
"""Keys that name a host; the first one that is set counts."""
CALL_KEYS = (
    "ssh_port", "ssh_username", "ssh_priv_key_path", "become", "become_user", "become_method", "exec_timeout",
)  # fmt: skip
"""Keys that the parameters of a single call can set as well."""
_TEXT = ("ssh_username", "ssh_priv_key_path", "become_user", "become_method")


class Settings(BaseModel):
    """Configuration of an AnsibleService. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    inventory: str | list[str] | dict[str, Any] | None = Field(
        default=None,
        description="Inventory of Ansible: a file, a directory, a script, 'host1,host2', several of these, or the "
        "hosts with their variables as an object. Relative paths are located like other files of mlos_bench.",
    )
    ansible_host_pattern: str | None = Field(
        default=None,
        min_length=1,
        description="Host pattern for calls whose parameters name no host. $name is replaced by a global parameter.",
    )
    share_dir: str | None = Field(
        default=None,
        min_length=1,
        description="Directory on the hosts for relative paths of uploads and downloads. Default: the global "
        "mountPoint, or else the home directory.",
    )
    become: bool = Field(default=False, description="Whether to become another user on the hosts.")
    become_user: str | None = Field(default=None, min_length=1, description="The user to become. Default: root.")
    become_method: str | None = Field(default=None, min_length=1, description="How to become that user: sudo, su, …")
    forks: int | None = Field(default=None, ge=1, description="Hosts handled at once.")
    engine: Literal["warm", "cold", "session"] = Field(default="warm", description="The engine that runs playbooks.")
    exec_timeout: float | None = Field(
        default=None,
        gt=0,
        description="Deadline of each script, after which the host itself ends it. Default: ssh_request_timeout, or "
        "none.",
    )
    boot_timeout: float = Field(default=600, gt=0, description="How long a host may take to start or restart.")
    grace: float = Field(default=5, ge=0, description="Time between TERM and KILL for a script past its deadline.")
    shell: str | None = Field(default=None, min_length=1, description="Shell of the scripts. Default: bash.")
    fail_fast: bool = Field(
        default=False, description="Whether a script stops at its first failing line; in mlos_bench, it does not."
    )
    keep_running: list[PhaseName] = Field(
        default=["setup"], description="Phases whose background processes continue to run after the phase."
    )
    reboot: list[PhaseName] = Field(default=[], description="Phases whose scripts may reboot their host.")
    secret_params: list[str] = Field(
        default=[],
        description="Shell variables with secret values: they are kept out of logs and masked in output.",
    )
    start_host: list[dict[str, Any]] = Field(
        default=[], description="Ansible tasks, run on the controller, that start a host."
    )
    stop_host: list[dict[str, Any]] = Field(
        default=[], description="Ansible tasks, run on the controller, that stop a host. Default: shut it down."
    )
    restart_host: list[dict[str, Any]] = Field(
        default=[], description="Ansible tasks, run on the controller, that restart a host. Default: reboot it."
    )
    logs: str | None = Field(
        default=None, min_length=1, description="Directory for the complete output of the scripts."
    )
    ansible_cfg: str | None = Field(default=None, min_length=1, description="The ansible.cfg to use.")
    ansible_args: list[str] = Field(
        default=[], description="Further arguments of ansible-playbook, such as --vault-password-file=…"
    )
    extra_vars: dict[str, Any] = Field(default={}, description="Extra variables of Ansible.")
    pass_env: list[str] = Field(default=[], description="Further environment variables that Ansible may see.")

    ssh_hostname: str | None = Field(default=None, min_length=1, description="Default of the parameter of this name.")
    ssh_port: int | None = Field(default=None, ge=1, le=65535, description="Port of hosts given as ssh_hostname.")
    ssh_username: str | None = Field(default=None, description="User on hosts given as ssh_hostname.")
    ssh_priv_key_path: str | None = Field(default=None, description="Private key for hosts given as ssh_hostname.")
    ssh_known_hosts_path: str | None = Field(
        default=None,
        description="known_hosts file for hosts given as ssh_hostname. null turns the check of their keys off; by "
        "default, the usual files apply.",
    )
    ssh_known_hosts_file: str | None = Field(default=None, description="Another name of ssh_known_hosts_path.")
    ssh_keepalive_interval: float | None = Field(
        default=None, ge=1, description="Seconds between keepalive messages on an idle connection."
    )
    ssh_request_timeout: float | None = Field(
        default=None, ge=1, description="Deadline of each script, like exec_timeout."
    )
    ssh_shell: str | None = Field(default=None, min_length=1, description="Shell of the scripts, like shell.")

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Read a service's configuration.

        Raises:
            ConfigError: it lists everything that is wrong. mlos_bench's own validation may be turned off.
        """
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            faults = faults_of(error, {(): cls.model_fields})
            raise ConfigError([Problem(what, key_text(where), hint=hint) for where, what, hint in faults]) from None

    def called_with(self, params: Mapping[str, Any]) -> Self:
        """Return the settings of one call, in which some parameters override the configuration.

        Raises:
            ConfigError: such a parameter has an invalid value.
        """
        given = {name: params[name] for name in CALL_KEYS if params.get(name) is not None}
        given |= {name: _parsed(value) for name, value in given.items() if name not in _TEXT}
        return type(self).read({**self.model_dump(exclude_unset=True), **given}) if given else self

    @property
    def deadline(self) -> float | None:
        """Longest time for a script, in seconds; None for no limit."""
        return self.exec_timeout if self.exec_timeout is not None else self.ssh_request_timeout

    @property
    def interpreter(self) -> str:
        """The shell of the scripts."""
        return self.shell or self.ssh_shell or "bash"


def _parsed(value: Any) -> Any:
    """Convert text to its value: globals from a command line are text."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    number = parse_value(value)
    return value if isinstance(number, str) else number
