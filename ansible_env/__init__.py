"""Run benchmark environments on any host or group that Ansible can reach.

with ansible_env.RemoteEnv.from_file("environment.yml", inventory="inventories/lab") as env:
    if env.setup({"cache_size": 4000}):
        status, timestamp, metrics = env.run()
    env.teardown()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ansible_env.common import __version__

if TYPE_CHECKING:
    from ansible_env.config.model import EnvironmentConfig
    from ansible_env.engine.cold import ColdEngine
    from ansible_env.engine.inventory import Inventory
    from ansible_env.engine.protocol import Cancellation, Engine, Listener, Options
    from ansible_env.engine.warm import SessionEngine, WarmEngine
    from ansible_env.environment.remote_env import RemoteEnv
    from ansible_env.errors import (
        AnsibleEnvError,
        ConfigError,
        EngineError,
        InventoryError,
        LifecycleError,
        MetricsPatternError,
        MetricsTimeoutError,
        ParameterError,
        Problem,
        RepeatedFailureError,
        StoreError,
    )
    from ansible_env.results.host_result import HostResult
    from ansible_env.results.observer import TrialObserver
    from ansible_env.results.outcomes import Kind
    from ansible_env.results.phase_result import (
        HostsUnreachable,
        PhaseCanceled,
        PhaseError,
        PhaseFailed,
        PhaseResult,
        PhaseTimedOut,
    )
    from ansible_env.results.status import Status
    from ansible_env.results.trial import Trial, TrialRequest
    from ansible_env.storage.store import Store
    from ansible_env.trials.run_trials import Runner, run_trials

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
    "RepeatedFailureError",
    "Runner",
    "SessionEngine",
    "Status",
    "Store",
    "StoreError",
    "Trial",
    "TrialObserver",
    "TrialRequest",
    "WarmEngine",
    "__version__",
    "run_trials",
]

_HOMES = (
    "errors", "results.status", "results.outcomes", "results.host_result", "results.phase_result", "results.trial",
    "results.observer", "config.model", "engine.inventory", "engine.protocol", "engine.cold", "engine.warm",
    "storage.store", "environment.remote_env", "trials.run_trials",
)  # fmt: skip
"""The modules that define the public names, lower layers first."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for.

    Ansible's workers import parts of this package for each task on each host: they need neither the engine nor the
    model of the environment file (https://peps.python.org/pep-0562/).
    """
    for home in _HOMES if name in __all__ else ():
        module = import_module(f"{__name__}.{home}")
        if hasattr(module, name):
            value = globals()[name] = getattr(module, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
