"""Content that exists already, as phases: over ssh, with with everything found as Ansible finds it."""

from __future__ import annotations

import uuid
from pathlib import Path
from textwrap import dedent

import pytest

from ansible_env import Engine, EnvironmentConfig, Kind, RemoteEnv, Status
from ansible_env.engine.protocol import Options
from tests.hosts import Hosts

pytestmark = pytest.mark.ssh

FILES = {
    # A project of the usual kind, in a directory of its own: nobody has thought of benchmarks when writing it.
    "project/site.yml": """
        - name: Deploy
          hosts: fleet
          gather_facts: false
          vars_files: [vars/main.yml]
          roles:
            - role: server
              vars: {server_workers: 3}
    """,
    "project/group_vars/fleet.yml": "server_root: /tmp/items-{{ ansible_env_params.trial_id }}",
    "project/vars/main.yml": "server_greeting: hello from {{ inventory_hostname }}",
    "project/roles/server/defaults/main.yml": "server_port: 1\nserver_workers: 1",
    "project/roles/server/handlers/main.yml": """
        - name: Restart
          ansible.builtin.copy: {content: "restarted\n", dest: "{{ server_root }}/restarted", mode: "0600"}
    """,
    "project/roles/server/tasks/main.yml": """
        - ansible.builtin.file: {path: "{{ server_root }}", state: directory, mode: "0700"}
        - name: Configure
          ansible.builtin.template: {src: server.conf.j2, dest: "{{ server_root }}/server.conf", mode: "0600"}
          notify: Restart
    """,
    "project/roles/server/templates/server.conf.j2": """
        port={{ server_port }}
        workers={{ server_workers }}
        greeting={{ server_greeting }}
    """,
    # What lies beside the environment file.
    "env/roles/local_role/tasks/main.yml": """
        - ansible.builtin.copy: {content: "{{ local_text }}", dest: "{{ server_root }}/local", mode: "0600"}
    """,
    "env/steps/more.yml": """
        - ansible.builtin.copy: {src: note.txt, dest: "{{ server_root }}/note", mode: "0600"}
          notify: Note it
    """,
    "env/steps/note.txt": "found beside the task file",
    "env/bench.yml": r"""
        name: items
        hosts: fleet
        const_args: {server_root: overridden, server_port: 1, evil: "{{ 7 * 7 }}"}
        tunables: {server: {cost: 1, params: {server_threads: {type: int, range: [1, 9], default: 2}}}}
        secret_params: {password: }
        vars_params: [server_port, server_threads, evil, password]
        setup:
          - import_playbook: ../project/site.yml
          - test -f /tmp/items-$trial_id/server.conf
          - name: A task with all that a task may have
            file: {path: "/tmp/items-{{ ansible_env_params.trial_id }}/{{ item }}", state: touch, mode: "0600"}
            loop: [one, two]
            when: server_port > 1
            notify: [Note it]
          - role: local_role
            vars: {local_text: "{{ evil }} {{ server_threads }} {{ password }}"}
          - tasks: steps/more.yml
          - block:
              - ansible.builtin.command: "false"
            rescue:
              - ansible.builtin.debug: {msg: rescued}
          - tasks: steps/{{ ansible_env_params.which }}.yml
        handlers:
          - name: Note it
            ansible.builtin.command: touch /tmp/items-{{ ansible_env_params.trial_id }}/noted
        run:
          - cd /tmp/items-$trial_id; cat server.conf; echo "local=$(cat local)"; echo "files=$(ls -x)"
        teardown:
          - name: Remove it
            ansible.builtin.file: {path: "/tmp/items-{{ ansible_env_params.trial_id }}", state: absent}
        required_args: [trial_id, which]
        shell_env_params: [trial_id]
        results_stdout_pattern: '^(\w+)=(.*)$'
    """,
}


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
    return directory


@pytest.mark.smoke
def test_each_kind_of_item_is_a_phase(ssh_hosts: Hosts, engine: Engine, tmp_path: Path) -> None:
    path = write(tmp_path, FILES) / "env/bench.yml"
    outside = {"trial_id": uuid.uuid4().hex, "which": "more", "server_port": 8080, "password": "s3cr3t"}
    inventory = ssh_hosts.inventory()
    with RemoteEnv.from_file(path, inventory=inventory, limit="h1", engine=engine, global_config=outside) as env:
        try:
            assert env.setup({"server_threads": 7}), env.results["setup"].summary()
            status, _, _ = env.run()
            found = {name: host.metrics for name, host in env.results["run"].hosts.items()}
        finally:
            env.teardown()
    assert status is Status.SUCCEEDED
    assert list(found) == ["h1"]
    for name, metrics in found.items():
        assert metrics["port"] == 8080, "a parameter at top level wins over a role's default"
        assert metrics["workers"] == 3
        assert metrics["greeting"] == f"hello from {name}"
        assert metrics["local"] == "{{ 7 * 7 }} 7 ********", "values are never templates, and secrets are masked"
        assert str(metrics["files"]).split() == ["local", "note", "noted", "one", "restarted", "server.conf", "two"]
    assert env.results["teardown"].status is Status.SUCCEEDED
    assert "s3cr3t" not in env.render("setup")


FAILING = {
    "a task": ["{name: Break it, ansible.builtin.fail: {msg: on purpose}}"],
    "a role": ["{role: breaks}"],
    "a playbook": ["{import_playbook: breaks.yml}"],
    "a handler": ["{name: Touch, ansible.builtin.command: 'true', notify: Break it}"],
    "after a phase task of its own": ["{tasks: breaks_later.yml}"],
}


@pytest.mark.parametrize("items", FAILING.values(), ids=FAILING)
def test_a_task_that_fails_is_named(ssh_hosts: Hosts, engine: Engine, tmp_path: Path, items: list[str]) -> None:
    breaks = "- {name: Break it, ansible.builtin.fail: {msg: on purpose}}\n"
    measure = "- ansible_env.bench.phase: {script: 'true'}\n"
    files = {
        "roles/breaks/tasks/main.yml": breaks,
        "breaks_later.yml": measure + breaks,
        "breaks.yml": f"- hosts: h1\n  gather_facts: false\n  tasks:\n    {breaks}",
        "bench.yml": f"name: fails\nrun: [{', '.join(items)}]\nhandlers:\n{breaks}",
    }
    path = write(tmp_path, files) / "bench.yml"
    env = RemoteEnv.from_file(path, inventory=ssh_hosts.inventory(), limit="h1", engine=engine)
    with env:
        (host,) = env.run_phase("run").hosts.values()
    assert (host.kind, host.status) == (Kind.TASK, Status.FAILED)
    assert "Break it" in host.task
    assert "on purpose" in host.message


def test_a_host_of_an_imported_playbook_that_nobody_expected(ssh_hosts: Hosts, engine: Engine, tmp_path: Path) -> None:
    files = {
        "servers.yml": """
            - hosts: h2,h3
              gather_facts: false
              tasks: [{ansible.builtin.fail: {msg: no server}, when: inventory_hostname == "h2"}]
        """,
        "bench.yml": "name: stranger\nhosts: h1\nsetup: [{import_playbook: servers.yml}]\nrun: 'true'\n",
    }
    path = write(tmp_path, files) / "bench.yml"
    with RemoteEnv.from_file(path, inventory=ssh_hosts.inventory(), engine=engine) as env:
        assert not env.setup()
        hosts = env.results["setup"].hosts
    assert hosts["h1"].kind is Kind.OK
    assert (hosts["h2"].kind, "no server" in hosts["h2"].message) == (Kind.TASK, True)


def test_check_mode_runs_no_script_and_is_no_success(ssh_hosts: Hosts, engine: Engine, tmp_path: Path) -> None:
    made = f"/tmp/{tmp_path.name}-made"
    item = f"{{ansible.builtin.command: touch {made}}}"
    path = write(tmp_path, {"bench.yml": f"name: check\nsetup: ['touch {made}', {item}]\nrun: 'true'\n"}) / "bench.yml"
    options = Options(check=True, diff=True)
    with RemoteEnv.from_file(path, inventory=ssh_hosts.inventory(), limit="h1", engine=engine, options=options) as env:
        assert not env.setup()
        assert env.results["setup"].hosts["h1"].kind is Kind.NOT_RUN
    assert ssh_hosts["h1"].exec(f"ls {made}", check=False).returncode != 0


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"bench.yml": "name: x\nrun: ['true']\nsetup:\n  - tasks: nowhere.yml\n"}) / "bench.yml"
    with pytest.raises(ValueError, match=r"bench\.yml:4: setup\[0\]\.tasks: there is no file 'nowhere.yml'"):
        EnvironmentConfig.load(path)


def test_a_playbook_that_is_no_yaml_is_named(ssh_hosts: Hosts, engine: Engine, tmp_path: Path) -> None:
    files = {"broken.yml": "- hosts: all\n  tasks: [\n", "bench.yml": "name: x\nrun: [{import_playbook: broken.yml}]\n"}
    path = write(tmp_path, files) / "bench.yml"
    with RemoteEnv.from_file(path, inventory=ssh_hosts.inventory(), limit="h1", engine=engine) as env:
        (host,) = env.run_phase("run").hosts.values()
    assert host.kind is Kind.CONTROLLER
    assert f"{tmp_path}/broken.yml" in host.message
