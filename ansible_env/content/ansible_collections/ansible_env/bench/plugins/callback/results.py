# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the results of phase tasks in plays that ansible-playbook runs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: results
type: notification
short_description: Store the results of ansible_env benchmarks
version_added: 0.1.0
author:
  - The ansible_env maintainers (!UNKNOWN)
description:
  - Writes the results of every play that uses M(ansible_env.bench.phase), and of every trial of the role
    P(ansible_env.bench.environment#role), to a bundle and to the store of results, as the command C(ansible-env)
    does with its own trials.
  - A play without the role is a trial with the name of the play. A phase task with the tag V(setup) or V(teardown)
    belongs to that phase, any other phase task to V(run).
  - Each batch of a play with C(serial) is a separate trial.
  - Does nothing in the plays that the C(ansible_env) library runs itself.
options:
  artifacts:
    description:
      - Directory of the bundles. By default in C($XDG_STATE_HOME/ansible-env) or C(~/.local/state/ansible-env).
    type: path
    env:
      - name: ANSIBLE_ENV_ARTIFACTS
    ini:
      - section: ansible_env
        key: artifacts
  store:
    description: The database of results, a file or an SQLAlchemy URL. By default C(store.sqlite) beside the bundles.
    type: str
    env:
      - name: ANSIBLE_ENV_STORE
    ini:
      - section: ansible_env
        key: store
requirements:
  - enabling it, C(callbacks_enabled = ansible_env.bench.results) in the section C(defaults) of C(ansible.cfg)
  - on the controller, the C(ansible_env) library from its clone or its wheel
"""

EXAMPLES = r"""
# ANSIBLE_CALLBACKS_ENABLED=ansible_env.bench.results ansible-playbook -i inventory bench.yml
# ansible-env results
"""

import contextlib
import json
import os
from pathlib import Path

from ansible.plugins.callback import CallbackBase

try:
    from ansible_env.config.fields import PHASES
    from ansible_env.errors import AnsibleEnvError
    from ansible_env.results.fold.events import PHASE_TASK
    from ansible_env.supervisor.variables import LOG_DIR, PRIVATE_DIR
    from ansible_env.trials.play_recorder import PlayRecorder
except ImportError as error:  # the collection was installed without the library
    LIBRARY_ERROR = error
else:
    LIBRARY_ERROR = None


class CallbackModule(CallbackBase):
    """Gathers results while plays run, and writes them at the end of each trial."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "ansible_env.bench.results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self._trial = None
        self._playbook = None
        self._token = None
        if LIBRARY_ERROR is not None:
            self._display.warning(f"results are not kept: the ansible_env library is missing ({LIBRARY_ERROR})")
        self.disabled = LIBRARY_ERROR is not None or PRIVATE_DIR in os.environ

    def set_options(self, *arguments, **named):
        super().set_options(*arguments, **named)
        for option, variable in (("artifacts", "ANSIBLE_ENV_ARTIFACTS"), ("store", "ANSIBLE_ENV_STORE")):
            if self.get_option(option):
                os.environ[variable] = str(self.get_option(option))

    def v2_playbook_on_start(self, playbook):
        self._playbook = Path(playbook._file_name)

    def v2_playbook_on_play_start(self, play):
        self._finish()
        self._trial = PlayRecorder(play.get_name() or "play", self._playbook)

    def v2_playbook_on_task_start(self, task, is_conditional):
        os.environ.pop(LOG_DIR, None)
        if task.action == PHASE_TASK and self._trial is not None and not task.check_mode:
            with self._problems_shown():
                os.environ[LOG_DIR] = str(self._trial.logs(_phase(task)))

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start

    def v2_playbook_on_stats(self, stats):
        self._finish()

    def v2_runner_on_ok(self, result):
        self._record("runner_on_ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record("runner_on_failed", result, ignore_errors)

    def v2_runner_on_unreachable(self, result):
        self._record("runner_on_unreachable", result)

    def _record(self, event, result, ignore_errors=False):
        task, data = result._task, result._result
        trial = (data.get("ansible_facts") or {}).get("environment_trial")
        if trial is not None:
            self._begin(json.loads(json.dumps(trial, default=str)))
        if self._trial is None or "censored" in data:  # with no_log, nobody knows what the task did
            return
        event_data = {
            "host": result._host.get_name(),
            "task": task.get_name(),
            "task_action": task.action,
            "task_uuid": task._uuid,
            "res": json.loads(json.dumps(data, default=str)),
            "ignore_errors": ignore_errors,
        }
        self._trial.take(_phase(task), {"event": event, "event_data": event_data})

    def _begin(self, trial):
        """Begin a trial of the role, unless another host has begun it, perhaps with parameters of its own."""
        token = json.dumps(trial["roles"], sort_keys=True)
        current = self._trial is not None and self._trial.is_environment and not self._trial.has_begun
        if token == self._token or current:
            return
        self._finish()
        self._token = token
        file = Path(trial["file"]) if trial["file"] else None
        self._trial = PlayRecorder(trial["name"], file, trial["params"], True, trial["roles"])

    def _finish(self):
        trial, self._trial, self._token = self._trial, None, None
        os.environ.pop(LOG_DIR, None)
        if trial is None:
            return
        if not trial.has_begun:
            trial.discard()
            return
        with self._problems_shown():
            directory, problem = trial.finish()
            if problem:
                self._display.warning(f"not in the store of results: {problem}")
            self._display.display(f"results: {directory}")

    @contextlib.contextmanager
    def _problems_shown(self):
        """Show a warning if results cannot be kept, and let the play go on."""
        try:
            yield
        except (AnsibleEnvError, OSError, ValueError) as error:
            self._display.warning(f"results are not kept: {error}")


def _phase(task):
    """Return the phase that a task belongs to: the role names it in a variable, other plays in a tag."""
    named = task.get_vars().get("environment_phase")
    return next((phase for phase in PHASES if phase == named or phase in task.tags), "run")
