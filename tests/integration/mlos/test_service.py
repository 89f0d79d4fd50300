"""AnsibleService under mlos_bench's own environments."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest

pytest.importorskip("mlos_bench", reason="needs the extra `mlos`")

from mlos_bench.environments import CompositeEnv
from mlos_bench.environments.remote import HostEnv, OSEnv
from mlos_bench.services.base_service import Service
from mlos_bench.services.types.fileshare_type import SupportsFileShareOps
from mlos_bench.services.types.host_ops_type import SupportsHostOps
from mlos_bench.services.types.host_provisioner_type import SupportsHostProvisioning
from mlos_bench.services.types.os_ops_type import SupportsOSOps
from mlos_bench.services.types.remote_exec_type import SupportsRemoteExec
from mlos_bench.tunables.tunable_groups import TunableGroups

from ansible_env import ConfigError, InventoryError
from ansible_env.mlos import AnsibleService
from tests.faults.bench import host_left, until
from tests.hosts import Host, Hosts
from tests.integration.mlos.conftest import MakeService, call, remote_env

pytestmark = [pytest.mark.ssh]

METHODS = [
    "remote_exec", "get_remote_exec_results", "start_host", "stop_host", "restart_host", "wait_host_operation",
    "shutdown", "reboot", "wait_os_operation", "provision_host", "deprovision_host", "deallocate_host",
    "wait_host_deployment", "upload", "download",
]  # fmt: skip
TOLD = {"stdout", "stderr", "exitCode", "kind", "startTimestamp", "endTimestamp"}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_registered_under_its_own_name(service: Service, name: str) -> None:
    assert service.export()[name].__name__ == name


@pytest.mark.parametrize(
    "protocol",
    [SupportsRemoteExec, SupportsHostOps, SupportsOSOps, SupportsHostProvisioning, SupportsFileShareOps],
    ids=lambda protocol: protocol.__name__,
)
def test_the_mixin_has_every_protocol(service: Service, protocol: type) -> None:
    assert isinstance(service, protocol)


# -- the life of mlos_bench's RemoteEnv -----------------------------------------------------------------


@pytest.mark.smoke
def test_setup_run_teardown(service: Service, ssh_host: Host) -> None:
    env = remote_env(
        service,
        setup=["echo before >/tmp/mlos-life", "test -f /tmp/mlos-life"],
        run=["hostname", 'echo "score=$size"', "cat /tmp/mlos-life"],
        teardown=["rm /tmp/mlos-life"],
        const_args={"size": 42},
        shell_env_params=["size"],
        results_stdout_pattern=r"^(\w+)=(\d+)$",
    )
    for _ in range(2):  # main enters the contexts anew for each trial
        with env:
            assert env.setup(TunableGroups({}))
            assert ssh_host.path("/tmp/mlos-life").read_text() == "before\n"
            status, timestamp, metrics = env.run()
            assert (status.name, metrics) == ("SUCCEEDED", {"score": 42})
            assert isinstance(timestamp, datetime)
    with env:
        env.teardown()
    assert not ssh_host.path("/tmp/mlos-life").exists()


def test_a_failed_setup_is_false(service: Service) -> None:
    with remote_env(service, setup=["exit 3"], run=["true"]) as env:
        assert env.setup(TunableGroups({})) is False
        assert env.run()[0].name == "PENDING"


def test_a_composite_runs_children_on_their_hosts(service: Service) -> None:
    children = [
        {
            "class": "mlos_bench.environments.remote.RemoteEnv",
            "name": name,
            "config": {
                "const_args": {"vmName": name},
                "run": [f"echo {name}_is=$(hostname)"],
                "results_stdout_pattern": r"(\w+)=(\w+)",
            },
        }
        for name in ("h2", "h3")
    ]
    env = CompositeEnv(name="both", config={"children": children}, tunables=TunableGroups({}), service=service)
    with env:
        assert env.setup(TunableGroups({}))
        status, _, metrics = env.run()
    assert status.name == "SUCCEEDED"
    assert metrics == {"h2_is": "h2", "h3_is": "h3"}


def test_what_setup_starts_runs_on_and_what_run_starts_does_not(service: Service, ssh_host: Host) -> None:
    env = remote_env(service, setup=["sleep 50.5 &"], run=["sleep 50.6 &"], teardown=["pkill -f '[s]leep 50.5'"])
    with env:
        assert env.setup(TunableGroups({}))
        assert env.run()[0].name == "SUCCEEDED"
        assert ssh_host.processes("sleep\x0050.5") or ssh_host.processes("50.5")
        assert not ssh_host.processes("50.6")
        env.teardown()
    assert not ssh_host.processes("50.5")


# -- what comes back ------------------------------------------------------------------------------------


def test_stdout_is_exactly_what_was_printed(service: Service) -> None:
    text = "  \n\t leading\r\n" + "x" * 100_000 + "\n trailing \t\n  "
    script = ["printf '  \\n\\t leading\\r\\n'; head -c 100000 /dev/zero | tr '\\0' x; printf '\\n trailing \\t\\n  '"]
    status, told = call(service, [*script, "printf ' err ' >&2"])
    assert status == "SUCCEEDED"
    assert told["stdout"] == text
    assert told["stderr"] == " err "


def test_values_arrive_with_every_quote(service: Service) -> None:
    values = {
        "AA": 'it\'s "so" `no` $HOME ${x} $(id) \\ \\n !',
        "BB": "{{ 7 * 7 }} {% raw %} #jinja2: x",
        "CC": "two\nlines\n",
        "DD": "",
        "EE": "ünï → \U0001f600",
    }
    script = [f'printf "%s|" "${name}"' for name in values]
    assert call(service, script, values)[1]["stdout"] == "".join(f"{value}|" for value in values.values())


def test_results_may_be_fetched_again_and_again(service: Any) -> None:
    _, handle = service.remote_exec(["echo once"], {"vmName": "h1"}, {})
    first = service.get_remote_exec_results(handle)
    assert service.get_remote_exec_results(handle) == first
    assert service.get_remote_exec_results(first[1]) == first  # as RemoteEnv does with a synchronous service
    assert first[1]["stdout"] == "once\n"
    assert service.get_remote_exec_results({})[0].name == "PENDING"


def test_a_failure_tells_nothing_of_the_parameters(make_service: MakeService) -> None:
    service = make_service({"secret_params": ["TOKEN"]})
    env = remote_env(
        service,
        run=["echo got $TOKEN", "exit 7"],
        const_args={"TOKEN": "hunter2secret", "other": "othervalue"},
        shell_env_params=["TOKEN", "other"],
    )
    with env:
        assert env.setup(TunableGroups({}))
        status, _, stored = env.run()
    assert status.name == "FAILED"
    assert stored is not None
    assert stored.keys() == TOLD
    assert (stored["exitCode"], stored["kind"]) == (7, "exit")
    assert "hunter2secret" not in str(stored)
    assert "othervalue" not in str(stored)
    assert all(value is None or isinstance(value, str | int) for value in stored.values())


def test_unreachable_is_a_status(service: Service) -> None:
    status, told = call(service, ["true"], ssh_hostname="127.0.0.1", ssh_port=1)
    assert (status, told["kind"]) == ("FAILED", "unreachable")


def test_a_deadline_is_a_status_and_leaves_nothing(service: Service, ssh_host: Host) -> None:
    script = ["echo begun; sleep 70.7 & sleep 70.8"]
    status, told = call(service, script, vmName="h1", exec_timeout=0.5)
    assert (status, told["kind"], told["stdout"]) == ("TIMED_OUT", "timeout", "begun\n")
    until(lambda: not ssh_host.processes("70.7") + ssh_host.processes("70.8"), "their end", 5)
    until(lambda: not host_left(ssh_host), "the run directory to go", 5)


def test_submissions_overlap(service: Any) -> None:
    handles = [service.remote_exec(["sleep 2"], {"vmName": host}, {})[1] for host in ("h1", "h2")]
    told = [service.get_remote_exec_results(handle)[1] for handle in handles]
    assert max(one["startTimestamp"] for one in told) < min(one["endTimestamp"] for one in told)


def test_an_error_in_the_context_ends_what_runs(make_service: MakeService, ssh_host: Host) -> None:
    service: Any = make_service()
    with pytest.raises(KeyboardInterrupt), service:
        _, handle = service.remote_exec(["sleep 71.7"], {"vmName": "h1"}, {})
        until(lambda: ssh_host.processes("71.7"), "the script to start")
        raise KeyboardInterrupt
    assert not ssh_host.processes("71.7")
    assert service.get_remote_exec_results(handle)[0].name == "CANCELED"


# -- hosts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ansible_host_pattern", "vmName", "hostName"])
def test_a_host_of_the_inventory(service: Service, key: str) -> None:
    assert call(service, ["hostname"], **{key: "h2"})[1]["stdout"] == "h2\n"


def test_a_host_made_on_the_fly(ssh_hosts: Hosts) -> None:
    host = ssh_hosts[1]
    service = AnsibleService({"ssh_known_hosts_path": str(ssh_hosts.known_hosts), "ssh_username": ssh_hosts.user})
    where = {"ssh_hostname": host.address, "ssh_port": host.port, "ssh_priv_key_path": str(ssh_hosts.key)}
    strict = AnsibleService({"ssh_known_hosts_path": "/dev/null", "ssh_username": ssh_hosts.user})
    strange = where | {"ssh_username": "bench"}  # a shared connection is not checked again
    status, told = call(strict, ["hostname"], **strange)
    assert (status, told["kind"]) == ("FAILED", "auth")
    assert call(service, ["hostname"], **where)[1]["stdout"] == "h2\n"
    lax = AnsibleService({"ssh_known_hosts_path": None, "ssh_username": ssh_hosts.user})
    assert call(lax, ["hostname"], **where)[0] == "SUCCEEDED"


def test_hosts_that_are_none_are_errors_of_the_configuration(service: Any) -> None:
    for params in (
        {},
        {"vmName": "h1,h2"},
        {"hostName": "all:!h1"},
        {"vmName": 3},
        {"ssh_hostname": "-oProxyCommand=x"},
    ):
        with pytest.raises(ConfigError):
            service.remote_exec(["true"], params, {})
    _, handle = service.remote_exec(["true"], {"vmName": "h9"}, {})
    with pytest.raises(InventoryError, match="h9"):
        service.get_remote_exec_results(handle)


@pytest.mark.mlos
def test_globals_name_the_host_of_those_who_pass_none(make_service: MakeService) -> None:
    service = make_service(global_config={"vmName": "h3"})
    assert call(service, ["hostname"], trial_id=1)[1]["stdout"] == "h3\n"
    service = make_service({"ansible_host_pattern": "h$trial_runner_id"}, {"trial_runner_id": 2, "vmName": "h3"})
    assert call(service, ["hostname"], trial_id=1)[1]["stdout"] == "h2\n"


# -- restarts -------------------------------------------------------------------------------------------


@pytest.mark.mlos
@pytest.mark.root
def test_os_and_host_operations(make_service: MakeService, ssh_hosts: Hosts) -> None:
    host = ssh_hosts["h3"]
    service: Any = make_service({"boot_timeout": 30})
    boots = host.boots
    status, handle = service.restart_host({"vmName": "h3"})
    assert status.name == "PENDING"
    assert service.wait_host_operation(handle)[0].name == "SUCCEEDED"
    assert host.boots == boots + 1
    os_env = OSEnv(name="os", config={"const_args": {"vmName": "h3"}}, tunables=TunableGroups({}), service=service)
    with os_env:
        assert os_env.setup(TunableGroups({}))
        os_env.teardown()  # shuts the host down
    assert not host.is_up
    starter = threading.Timer(1, host.power_on)
    starter.start()
    try:
        env = remote_env(service, host="h3", wait_boot=True, run=["hostname"])
        with env:
            assert env.setup(TunableGroups({}))
            assert env.run()[0].name == "SUCCEEDED"
    finally:
        starter.join()
        host.wait_up()


@pytest.mark.mlos
def test_the_controller_is_not_ended() -> None:
    service = AnsibleService({"boot_timeout": 5})
    asked = [ask({"ansible_host_pattern": "localhost"}) for ask in (service.reboot, service.stop_host)]
    assert [service.wait_os_operation(handle)[0].name for _, handle in asked] == ["FAILED", "FAILED"]


@pytest.mark.mlos
def test_tasks_of_the_configuration_start_and_stop_hosts(make_service: MakeService, tmp_path: Any) -> None:
    def note(word: str) -> list[dict[str, Any]]:
        return [{"ansible.builtin.shell": f"echo {word} {{{{ inventory_hostname }}}} >>{tmp_path}/power"}]

    service = make_service({name: note(name) for name in ("start_host", "stop_host", "restart_host")})
    host_env = HostEnv(
        name="host", config={"const_args": {"vmName": "h2"}}, tunables=TunableGroups({}), service=service
    )
    with host_env:
        assert host_env.setup(TunableGroups({}))
        host_env.teardown()
    ours: Any = service
    for ask in ("stop_host", "restart_host"):
        assert ours.wait_host_operation(getattr(ours, ask)({"vmName": "h2"})[1])[0].name == "SUCCEEDED"
    assert (tmp_path / "power").read_text() == "start_host h2\nstop_host h2\nrestart_host h2\n"


@pytest.mark.mlos
@pytest.mark.root
def test_a_reboot_in_the_middle_of_a_run(make_service: MakeService, ssh_hosts: Hosts) -> None:
    host = ssh_hosts["h3"]
    boots = host.boots
    env = remote_env(make_service({"reboot": ["run"], "boot_timeout": 30}), host="h3", run=["echo a; reboot; sleep 60"])
    with env:
        assert env.setup(TunableGroups({}))
        assert env.run()[0].name == "SUCCEEDED"
    assert host.boots == boots + 1
    with remote_env(make_service(), host="h3", run=["reboot; sleep 60"]) as env:
        assert env.setup(TunableGroups({}))
        status, _, told = env.run()
    assert (status.name, (told or {})["kind"]) == ("FAILED", "lost_result")
