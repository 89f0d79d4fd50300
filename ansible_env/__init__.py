"""Run benchmark environments on any host or group that Ansible can reach.

with ansible_env.RemoteEnv.from_file("environment.yml", inventory="inventories/lab") as env:
    if env.setup({"cache_size": 4000}):
        status, timestamp, metrics = env.run()
    env.teardown()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_env.config import EnvironmentConfig
    from ansible_env.engine import (
        Cancellation,
        ColdEngine,
        Engine,
        Inventory,
        Listener,
        Options,
        SessionEngine,
        WarmEngine,
    )
    from ansible_env.environment import RemoteEnv
    from ansible_env.errors import (
        AnsibleEnvError,
        ConfigError,
        EngineError,
        HostsUnreachable,
        InventoryError,
        LifecycleError,
        MetricsPatternError,
        MetricsTimeoutError,
        ParameterError,
        PhaseCanceled,
        PhaseError,
        PhaseFailed,
        PhaseTimedOut,
        Problem,
        StoreError,
    )
    from ansible_env.outcomes import Kind
    from ansible_env.result import HostResult, PhaseResult
    from ansible_env.status import Status

__version__ = "0.1.0"

__all__ = [
    "AnsibleEnvError",
    "Cancellation",
    "ColdEngine",
    "ConfigError",
    "Engine",
    "EngineError",
    "EnvironmentConfig",
    "HostResult",
    "HostsUnreachable",
    "Inventory",
    "InventoryError",
    "Kind",
    "LifecycleError",
    "Listener",
    "MetricsPatternError",
    "MetricsTimeoutError",
    "Options",
    "ParameterError",
    "PhaseCanceled",
    "PhaseError",
    "PhaseFailed",
    "PhaseResult",
    "PhaseTimedOut",
    "Problem",
    "RemoteEnv",
    "SessionEngine",
    "Status",
    "StoreError",
    "WarmEngine",
    "__version__",
]

_HOMES = {
    "AnsibleEnvError": "ansible_env.errors",
    "Cancellation": "ansible_env.engine",
    "ColdEngine": "ansible_env.engine",
    "ConfigError": "ansible_env.errors",
    "Engine": "ansible_env.engine",
    "EngineError": "ansible_env.errors",
    "EnvironmentConfig": "ansible_env.config",
    "HostResult": "ansible_env.result",
    "HostsUnreachable": "ansible_env.errors",
    "Inventory": "ansible_env.engine",
    "InventoryError": "ansible_env.errors",
    "Kind": "ansible_env.outcomes",
    "LifecycleError": "ansible_env.errors",
    "Listener": "ansible_env.engine",
    "MetricsPatternError": "ansible_env.errors",
    "MetricsTimeoutError": "ansible_env.errors",
    "Options": "ansible_env.engine",
    "ParameterError": "ansible_env.errors",
    "PhaseCanceled": "ansible_env.errors",
    "PhaseError": "ansible_env.errors",
    "PhaseFailed": "ansible_env.errors",
    "PhaseResult": "ansible_env.result",
    "PhaseTimedOut": "ansible_env.errors",
    "Problem": "ansible_env.errors",
    "RemoteEnv": "ansible_env.environment",
    "SessionEngine": "ansible_env.engine",
    "Status": "ansible_env.status",
    "StoreError": "ansible_env.errors",
    "WarmEngine": "ansible_env.engine",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for.

    Ansible's workers import parts of this package for each task on each host: they need neither the engine nor the
    model of the environment file (https://peps.python.org/pep-0562/).
    """
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
