"""ansible_env for mlos_bench: `AnsibleService`, `AnsibleEnv`, and the command `ansible-env-mlos`.

A configuration of mlos_bench that names one of the two classes runs its environments on the hosts of an Ansible
inventory, see docs/howto/mlos_bench.md. Importing this package does not import mlos_bench; its names do, and need the
extra `mlos`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ansible_env.common import pip_install

if TYPE_CHECKING:
    from ansible_env.mlos.environment import AnsibleEnv
    from ansible_env.mlos.schemas import register_schemas
    from ansible_env.mlos.service import AnsibleService

__all__ = ["AnsibleEnv", "AnsibleService", "register_schemas"]

_HOMES = {
    "AnsibleEnv": "ansible_env.mlos.environment",
    "AnsibleService": "ansible_env.mlos.service",
    "register_schemas": "ansible_env.mlos.schemas",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (https://peps.python.org/pep-0562/)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mlos_bench", "pytz"):
            raise
        message = f"ansible_env.mlos.{name} needs {error.name}: {pip_install('mlos')}"
        raise ModuleNotFoundError(message, name=error.name) from error
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
