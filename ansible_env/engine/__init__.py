"""What runs a playbook. The only room that touches Ansible, processes and private directories."""

from ansible_env.engine.cold import ColdEngine
from ansible_env.engine.container import ContainerEngine
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.engine.session import SessionEngine
from ansible_env.engine.warm import WarmEngine
from ansible_env.engine.worker import WorkerEngine

__all__ = [
    "Cancellation",
    "ColdEngine",
    "ContainerEngine",
    "Engine",
    "EngineRun",
    "Inventory",
    "Job",
    "Listener",
    "Options",
    "SessionEngine",
    "WarmEngine",
    "WorkerEngine",
]
