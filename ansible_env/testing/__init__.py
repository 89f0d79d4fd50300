"""For tests of what is built on this library.

An engine without Ansible, the events that a real one gives, and what every engine has to do, as tests.
"""

from ansible_env.testing.contract import EngineContract
from ansible_env.testing.fake import FakeEngine, phase_event, stats_event, task_event, unreachable_event

__all__ = ["EngineContract", "FakeEngine", "phase_event", "stats_event", "task_event", "unreachable_event"]
