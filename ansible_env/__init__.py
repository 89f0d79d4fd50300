"""Run benchmark environments on any host or group that Ansible can reach.

with ansible_env.RemoteEnv.from_file("environment.yml", inventory="inventories/lab") as env:
    if env.setup({"cache_size": 4000}):
        status, timestamp, metrics = env.run()
    env.teardown()
"""

from ansible_env.config import EnvironmentConfig
from ansible_env.engine import Cancellation, ColdEngine, Engine, Inventory, Listener, Options
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
    "Status",
    "__version__",
]
