"""The environment of Ansible: only the variables that it needs and those that users pass on purpose.

A caller's stray variables can end or hang a run (ANSIBLE_STRATEGY=debug waits at a prompt, JOB_ID=x ends it), so
variables pass by name. docs/reference/settings.md lists them.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible_env.engine.ansible_cfg import AnsibleConfig, find_config, working_directory
from ansible_env.engine.overrides import overrides
from ansible_env.engine.protocol import Options
from ansible_env.errors import EngineError
from ansible_env.supervisor.variables import ENGINE_RUN, PRIVATE_DIR

PASS = (
    "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH",
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "GNUPGHOME", "KRB5*", "XDG_*",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "CONTAINER_HOST", "KUBECONFIG", "K8S_AUTH_*",
    "ANSIBLE_CONFIG", "ANSIBLE_HOME", "ANSIBLE_VAULT_*", "ANSIBLE_ASK_*",
    "ANSIBLE_ROLES_PATH", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_COLLECTIONS_PATHS", "ANSIBLE_LIBRARY",
    "ANSIBLE_*_PLUGINS", "ANSIBLE_MODULE_UTILS", "ANSIBLE_INVENTORY_*", "ANSIBLE_HOST_PATTERN_MISMATCH",
    "ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_*", "ANSIBLE_SCP_*", "ANSIBLE_SFTP_*", "ANSIBLE_PARAMIKO_*",
    "ANSIBLE_REMOTE_*", "ANSIBLE_PRIVATE_KEY_FILE", "ANSIBLE_TIMEOUT", "ANSIBLE_PYTHON_INTERPRETER",
    "ANSIBLE_BECOME*", "ANSIBLE_SUDO_*", "ANSIBLE_SU_*", "ANSIBLE_PIPELINING", "ANSIBLE_TRANSPORT",
    "ANSIBLE_CONNECTION_*", "ANSIBLE_GATHER*", "ANSIBLE_FACT_PATH", "ANSIBLE_NETCONF_*", "ANSIBLE_WINRM_*",
)  # fmt: skip
NEVER = ("ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_STRATEGY_PLUGINS", "ANSIBLE_CACHE_PLUGINS", "ANSIBLE_REMOTE_TEMP")

LONGEST_TMPDIR = 50
"""Characters; since ansible-core 2.21 there is a socket in there, whose path may have 104."""
SSH_ARGS = "-o ControlMaster=auto -o ControlPersist=30m -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
"""Ansible's default is ControlPersist=60s, too short to last from one trial to the next, and -C, which costs CPU."""
INVENTORY_PLUGINS = "host_list,script,yaml,auto,ini,toml"
"""Ansible's own, but `yaml` before `auto`, which would read the whole of a YAML inventory only to see that it is no
plugin's configuration. `yaml` in turn leaves that to `auto`."""


def ansible_program(name: str) -> str:
    """Return the path of an Ansible program: the one beside our interpreter, not the first in a PATH.

    Raises:
        EngineError: there is none.
    """
    for directory in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if os.access(directory / name, os.X_OK):
            return str(directory / name)
    path = shutil.which(name)
    if not path:
        raise EngineError(f"{name} is not installed beside {sys.executable}: pip install ansible-core")
    return path


def callback_dir() -> str:
    """Return the directory of ansible-runner's callback, without importing ansible-runner, which is slow to load."""
    spec = importlib.util.find_spec("ansible_runner")
    assert spec is not None and spec.origin is not None  # noqa: S101 - for mypy
    return str(Path(spec.origin).absolute().parent / "display_callback" / "callback")


def passed(environ: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """Return the part of an environment that Ansible may see."""
    extra = [*more, *environ.get("ANSIBLE_ENV_PASS", "").replace(",", " ").split()]

    def allowed(name: str) -> bool:
        return is_among(name, extra) or (name not in NEVER and is_among(name, PASS))

    return {name: value for name, value in environ.items() if allowed(name)}


def user_config(options: Options) -> AnsibleConfig:
    """Return the settings that the user has made for Ansible, that Ansible may see.

    Raises:
        ConfigError: the chosen ansible.cfg does not exist.
    """
    environ = passed(os.environ, (*options.pass_env, "ANSIBLE_INVENTORY"))
    directory = working_directory()
    return AnsibleConfig(environ, find_config(os.environ, directory, options.config_file), directory)


def is_among(name: str, patterns: Iterable[str]) -> bool:
    """Whether patterns such as `ANSIBLE_SSH_*` select a variable."""
    return _expression(tuple(patterns)).match(name) is not None


@functools.lru_cache
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for all patterns. Each phase compares a hundred variables with sixty of them, twice."""
    return re.compile("|".join(map(fnmatch.translate, patterns)) if patterns else r"(?!)")


def settings(
    environ: Mapping[str, str], config: AnsibleConfig, *, run: str, private: Path, sockets: Path
) -> dict[str, str]:
    """Return the variables that a run needs, and better defaults for settings that the user has not made."""
    env = {
        ENGINE_RUN: run,
        PRIVATE_DIR: str(private),
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), environ.get("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")]
        ),
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "LANGUAGE": "C",
        "PYTHONUTF8": "1",
        "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
        # As ansible-runner sets them; a fork server has to know them before ansible-runner does.
        "ANSIBLE_STDOUT_CALLBACK": "awx_display",
        "ANSIBLE_CALLBACK_PLUGINS": callback_dir(),
        # ansible-runner silently drops results above 700 kB.
        "MAX_EVENT_RES": "1000000000",
    }
    if config.file is not None:
        env["ANSIBLE_CONFIG"] = str(config.file)
    if len(environ.get("TMPDIR", "")) > LONGEST_TMPDIR:
        env["TMPDIR"] = str(sockets.parent)
    defaults = (
        ("True", "ANSIBLE_PIPELINING", "defaults.pipelining", "connection.pipelining", "ssh_connection.pipelining"),
        (SSH_ARGS, "ANSIBLE_SSH_ARGS", "ssh_connection.ssh_args"),
        (str(sockets), "ANSIBLE_SSH_CONTROL_PATH_DIR", "ssh_connection.control_path_dir"),
        ("True", "ANSIBLE_HOST_KEY_CHECKING", "defaults.host_key_checking", "ssh_connection.host_key_checking"),
        (INVENTORY_PLUGINS, "ANSIBLE_INVENTORY_ENABLED", "inventory.enable_plugins"),
    )
    env |= {name: value for value, name, *places in defaults if config.get(name, *places) is None}
    return env | overrides(config)
