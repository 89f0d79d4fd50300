"""The events of one run. Text of a host on the terminal can look like an event; genuine ones carry a secret number."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_env.common import get_logger
from ansible_env.engine.private import PLAYBOOK
from ansible_env.engine.protocol import Event
from ansible_env.results.fold.events import FINAL, PHASE_TASK

logger = get_logger(__name__)

_PREFIX = re.compile(r"(\[ERROR\]: |ERROR! )")
"""What ansible-core prints before an error: from 2.19 on, and before that."""


class Events:
    """Collects the genuine events of a run, and the text that Ansible printed outside of tasks."""

    def __init__(self) -> None:
        self.job_id = secrets.randbelow(2**53)
        """The number that genuine events carry: only ansible-playbook gets it, as JOB_ID in its environment."""
        self.genuine: list[Event] = []
        self._texts: list[str] = []

    def add(self, event: Event) -> bool:
        """Record an event; return whether it is genuine."""
        genuine = event.get("job_id") == self.job_id
        if genuine:
            self.genuine.append(event)
        elif event.get("job_id") is not None or str(event.get("event", "")).startswith(("runner_", "playbook_")):
            logger.warning("an event was ignored because Ansible did not send it: it is forged")
        text = event.get("stdout")
        if text and event.get("event") in ("verbose", "error", "warning", "system_warning"):
            self._texts.append(str(text))
        return genuine

    @property
    def complete(self) -> bool:
        """Whether Ansible reached the end of the playbook."""
        return any(event.get("event") == "playbook_on_stats" for event in self.genuine)

    def message(self) -> str:
        """Return the error that Ansible reported outside of tasks, or the last lines that it printed there."""
        lines = [line for line in "\n".join(self._texts).splitlines() if line.strip()]
        # ansible-core names the file and line on a line of its own; nobody can look at the playbook of a run.
        errors = [line for line in lines if "ERROR" in line or line.startswith("Origin: ")]
        errors = [line for line in errors if not (line.startswith("Origin: ") and PLAYBOOK in line)] or lines[-3:]
        return _PREFIX.sub("", " ".join(" ".join(errors[-4:]).split()))[:1000]


def unfinished_hosts(events: Sequence[Event]) -> tuple[str, ...]:
    """Return the hosts on which a phase task was begun and gave no result."""
    begun: dict[str, None] = {}
    for event in events:
        data = event.get("event_data")
        if not isinstance(data, Mapping) or data.get("task_action") != PHASE_TASK:
            continue
        host: Any = data.get("host")
        if event.get("event") == "runner_on_start":
            begun[str(host)] = None
        elif event.get("event") in FINAL:
            begun.pop(str(host), None)
    return tuple(begun)
