"""Ansible's own syntax check of the author's tasks, before anything is run."""

from __future__ import annotations

import pytest
import yaml

from ansible_env import ConfigError, RemoteEnv, TrialRequest
from ansible_env.trials.run_trial import run_trial
from tests.engines import ALL


@pytest.fixture(params=ALL)
def engine_name(request):
    return request.param


ITEMS = [
    ({"frobnicate": {"a": 1}}, "couldn't resolve module/action 'frobnicate'"),
    ({"ansible.builtin.debug": {"msg": "hi"}, "loops": [1]}, "conflicting action statements"),
    ({"role": "no_such_role"}, "the role 'no_such_role' was not found"),
]


def test_ansible_refuses_a_task_before_anything_is_run(engine_name, tmp_path):
    """The message names the line of the environment file, and no file of ours."""
    for item, said in ITEMS:
        path = tmp_path / "e.yml"
        path.write_text(yaml.safe_dump({"name": "x", "run": f"touch {tmp_path}/run", "teardown": ["echo", item]}))
        env = RemoteEnv.from_file(path, engine=engine_name, inventory="localhost,")
        with env, pytest.raises(ConfigError) as raised:
            run_trial(env, TrialRequest())
        assert f"e.yml:5: teardown[1]: Ansible refuses the task: {said}" in str(raised.value)
        assert "/project/" not in str(raised.value)
    assert not (tmp_path / "run").exists()
