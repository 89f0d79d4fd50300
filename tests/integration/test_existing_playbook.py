"""A playbook of the usual kind as `setup`, as it is: package, template, service, handlers, group_vars, tags.

The package is made here, with a service of its own, so that nothing is downloaded; apt, dpkg, sudo, the template and
the init script are the real ones.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from ansible_env import Engine, Kind, RemoteEnv, Status, WarmEngine
from tests.conftest import MakeHosts
from tests.hosts import Hosts, MissingProgram

pytestmark = [pytest.mark.ssh, pytest.mark.root]

PACKAGE = {
    "DEBIAN/control": """
        Package: greeter
        Version: 1.0
        Architecture: all
        Maintainer: nobody <nobody@example.com>
        Description: says what its configuration was when it was started
    """,
    "DEBIAN/conffiles": "/etc/greeter.conf\n",
    "etc/greeter.conf": "workers=1\ngreeting=of the package\n",
    "etc/init.d/greeter": """
        #!/bin/sh
        ### BEGIN INIT INFO
        # Provides:          greeter
        # Required-Start:    $remote_fs
        # Required-Stop:     $remote_fs
        # Default-Start:     2 3 4 5
        # Default-Stop:      0 1 6
        # Short-Description: greeter
        ### END INIT INFO
        daemon() { start-stop-daemon --pidfile /run/greeter.pid "$@"; }
        case $1 in
            start) daemon --start --oknodo --background --make-pidfile --exec /usr/bin/greeter ;;
            stop) daemon --stop --oknodo --remove-pidfile; rm -f /run/greeter ;;
            restart) "$0" stop; "$0" start ;;
            status) daemon --status ;;
        esac
    """,
    "usr/bin/greeter": """
        #!/bin/sh
        cp /etc/greeter.conf /run/greeter
        exec sleep 600
    """,
}

PLAYBOOK = {
    "site.yml": """
        - name: Greeters
          hosts: greeters
          become: true
          vars_files: [vars/main.yml]

          pre_tasks:
            - name: Debian only
              ansible.builtin.assert:
                that: ansible_facts.os_family == 'Debian'
              tags: [always]

          tasks:
            - name: Fetch the package
              ansible.builtin.copy: {src: greeter.deb, dest: "{{ package_file }}", mode: "0644"}
              tags: [install]

            - name: Install greeter and what it needs
              ansible.builtin.apt: "{{ item }}"
              loop:
                - {name: [procps, sudo], state: present}
                - {deb: "{{ package_file }}"}
              notify: Start greeter
              tags: [install]

            - name: Configure greeter
              ansible.builtin.template:
                src: templates/greeter.conf.j2
                dest: /etc/greeter.conf
                owner: root
                group: worker
                mode: "0640"
                backup: true
              notify: Restart greeter
              tags: [configure]

            - name: Remove it
              ansible.builtin.apt: {name: greeter, state: absent, purge: true}
              tags: [never, remove]

          handlers:
            - name: Start greeter
              ansible.builtin.service: {name: greeter, state: started, enabled: true}

            - name: Restart greeter
              ansible.builtin.service: {name: greeter, state: restarted}
    """,
    "vars/main.yml": "package_file: /var/tmp/greeter.deb\n",
    "group_vars/all.yml": "greeter_workers: 1\ngreeter_greeting: for everybody\n",
    "group_vars/greeters/main.yml": "greeter_workers: 4\n",
    "host_vars/h1.yml": "greeter_name: the first\n",
    "templates/greeter.conf.j2": """
        # {{ ansible_managed }}
        workers={{ greeter_workers }}
        greeting={{ greeter_greeting }} on {{ ansible_facts.hostname }}, {{ greeter_name }}
    """,
}

ENVIRONMENT = r"""
    name: greeter
    hosts: greeters
    const_args: {workers: 0}
    setup:
      - import_playbook: ../deploy/site.yml
      - name: A note by another user
        ansible.builtin.command: touch /home/worker/note
        become: true
        become_user: worker
    run:
      - |
        for _ in $(seq 50); do [ -e /run/greeter ] && break; sleep 0.1; done
        sudo cat /run/greeter
        echo "mode=$(stat -c %a-%U-%G /etc/greeter.conf)" "enabled=$(ls /etc/rc2.d | grep -c greeter)"
        echo "note=$(sudo stat -c %U /home/worker/note)"
        echo "me=$(id -un)"
    teardown:
      - import_playbook: away.yml
    results_stdout_pattern: '(?:^|\s)(\w+)=([\w ,-]+?)(?=$|\s\w+=)'
    required_metrics: [workers, greeting]
    valid: {greeting: any}
"""
AWAY = """
    - hosts: greeters
      become: true
      gather_facts: false
      tasks:
        - ansible.builtin.service: {name: greeter, state: stopped}
        - ansible.builtin.apt: {name: greeter, state: absent, purge: true}
"""


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
        path.chmod(0o755 if text.lstrip().startswith("#!") else 0o644)


@pytest.fixture
def hosts(make_hosts: MakeHosts) -> Hosts:
    """A host of its own: a package is installed on it."""
    if not shutil.which("dpkg-deb"):
        raise MissingProgram("needs dpkg-deb, of Debian or Ubuntu")
    if subprocess.run(["/usr/bin/python3", "-c", "import apt"], check=False, capture_output=True).returncode:
        raise MissingProgram("Ansible's apt needs the package python3-apt")
    return make_hosts(1)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = WarmEngine()
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_a_deployment_as_setup(hosts: Hosts, engine: Engine, tmp_path: Path) -> None:
    write(tmp_path / "package", PACKAGE)
    write(tmp_path / "deploy", PLAYBOOK)
    write(tmp_path / "bench", {"environment.yml": ENVIRONMENT, "away.yml": AWAY})
    (tmp_path / "deploy/files").mkdir()
    command = ["dpkg-deb", "--build", "--root-owner-group", tmp_path / "package", tmp_path / "deploy/files/greeter.deb"]
    subprocess.run(command, check=True, capture_output=True)
    inventory = hosts.inventory_dict(user="bench")
    inventory["greeters"] = inventory.pop("fleet")

    with RemoteEnv.from_file(tmp_path / "bench/environment.yml", inventory=inventory, engine=engine) as env:
        assert env.setup(), env.results["setup"].summary()
        status, _, _ = env.run()
        metrics = env.results["run"].hosts["h1"].metrics
        env.teardown()

    assert status is Status.SUCCEEDED, env.results["run"].summary()
    greeting = "for everybody on h1, the first"
    assert metrics == {
        "workers": 4, "greeting": greeting, "mode": "640-root-worker", "enabled": 1, "note": "worker", "me": "bench"
    }  # fmt: skip
    assert env.results["teardown"].status is Status.SUCCEEDED
    there = "dpkg-query -W -f '${Status}' greeter | grep -qw installed || pgrep greeter"
    assert hosts["h1"].exec(there, check=False).returncode == 1


@pytest.mark.timeout(120)
def test_a_deployment_that_fails_is_told_with_its_task(hosts: Hosts, engine: Engine, tmp_path: Path) -> None:
    """Here the package is missing, beside the one playbook; the others need nothing of it."""
    write(tmp_path / "deploy", PLAYBOOK)
    write(tmp_path / "bench", {"environment.yml": ENVIRONMENT, "away.yml": AWAY})
    inventory = hosts.inventory_dict(user="bench")
    inventory["greeters"] = inventory.pop("fleet")
    with RemoteEnv.from_file(tmp_path / "bench/environment.yml", inventory=inventory, engine=engine) as env:
        assert not env.setup()
        (host,) = env.results["setup"].hosts.values()
    assert (host.kind, host.task) == (Kind.TASK, "Fetch the package")
    assert "greeter.deb" in host.message
