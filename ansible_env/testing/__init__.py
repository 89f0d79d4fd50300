"""Test helpers for users of this library.

They are an engine without Ansible, the events of a real one, and a test suite that every engine must pass.
"""

from ansible_env.testing.contract import EngineContract
from ansible_env.testing.fake import FakeEngine, phase_event, stats_event, task_event, unreachable_event

__all__ = ["EngineContract", "FakeEngine", "phase_event", "stats_event", "task_event", "unreachable_event"]
