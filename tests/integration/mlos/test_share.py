"""The file share, under mlos_bench's LocalFileShareEnv and alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlos_bench", reason="needs the extra `mlos`")

from mlos_bench.environments import CompositeEnv
from mlos_bench.environments.local import LocalFileShareEnv
from mlos_bench.tunables.tunable_groups import TunableGroups

from ansible_env import HostsUnreachable, ParameterError, PhaseFailed
from ansible_env.mlos import AnsibleService
from tests.hosts import Host, Hosts
from tests.integration.mlos.conftest import MakeService

pytestmark = [pytest.mark.ssh]
H1 = {"vmName": "h1"}


@pytest.fixture
def share(ssh_hosts: Hosts, ssh_host: Host) -> Iterator[AnsibleService]:
    """A service with a directory of its own on the hosts."""
    where = f"/srv/share-{os.getpid()}"
    yield AnsibleService({"inventory": str(ssh_hosts.inventory()), "share_dir": where})
    for host in ssh_hosts:
        host.exec(f"rm -rf {where}")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with what directories have."""
    root = tmp_path / "tree"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a b").write_text("1")
    (root / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (root / "sub" / "run.sh").chmod(0o751)
    (root / "-link").symlink_to("sub/run.sh")
    root.chmod(0o750)
    return root


def look(root: Path) -> dict[str, str]:
    """What is below a directory: names, modes, contents."""
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}"
        if path.is_symlink()
        else f"{path.stat().st_mode:o} {path.read_text() if path.is_file() else ''}"
        for path in sorted(root.rglob("*"))
    }


def on(host: Host, share: AnsibleService, path: str) -> Path:
    return host.path(f"{share.config['share_dir']}/{path}")


def test_a_directory_there_and_back(share: AnsibleService, ssh_host: Host, tree: Path, tmp_path: Path) -> None:
    share.upload(H1, str(tree), "deep/er/tree")
    there = on(ssh_host, share, "deep/er/tree")
    assert look(there) == look(tree)
    assert there.stat().st_mode & 0o777 == 0o750
    share.download(H1, "deep/er/tree", f"{tmp_path}/back/again")
    assert look(tmp_path / "back/again") == look(tree)
    share.download(H1, "deep/er/tree", str(tmp_path / "top"), recursive=False)
    assert {path.name for path in (tmp_path / "top").iterdir()} == {"a b", "-link"}


def test_what_an_existing_target_means(share: AnsibleService, ssh_host: Host, tree: Path, tmp_path: Path) -> None:
    on(ssh_host, share, "there").mkdir(parents=True)
    share.upload(H1, str(tree), "there/")
    share.upload(H1, str(tree), "there")
    there = on(ssh_host, share, "there")
    assert look(there / "tree") == look(tree)
    assert (there / "a b").read_text() == "1"
    (tmp_path / "here").mkdir()
    share.download(H1, "there/tree", f"{tmp_path}/here/")
    share.download(H1, "there/tree", f"{tmp_path}/here")
    assert look(tmp_path / "here/tree") == look(tree)
    assert (tmp_path / "here/a b").is_file()


@pytest.mark.mlos
def test_files(share: AnsibleService, ssh_host: Host, tree: Path, tmp_path: Path) -> None:
    script = tree / "sub/run.sh"
    share.upload(H1, str(script), "new/dir/other.sh")
    share.upload(H1, str(script), "new/dir/")
    share.upload(H1, str(script), "new/dir")
    assert {path.name: path.stat().st_mode & 0o777 for path in on(ssh_host, share, "new/dir").iterdir()} == {
        "other.sh": 0o751,
        "run.sh": 0o751,
    }
    share.download(H1, "new/dir/run.sh", f"{tmp_path}/new/")
    share.download(H1, "new/dir/run.sh", f"{tmp_path}/new/too.sh")
    assert look(tmp_path / "new") == {"run.sh": "100751 #!/bin/sh\n", "too.sh": "100751 #!/bin/sh\n"}


def test_what_is_missing(share: AnsibleService, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    with pytest.raises(FileNotFoundError, match="none"):
        share.download(H1, "none", str(kept))
    assert kept.read_text() == "kept"
    with pytest.raises(FileNotFoundError, match="none"):
        share.upload(H1, str(tmp_path / "none"), "x")
    with pytest.raises(HostsUnreachable):
        share.upload({"ssh_hostname": "127.0.0.1", "ssh_port": 1}, str(tree), "x")
    with pytest.raises(PhaseFailed, match="could not be made"):
        share.upload(H1, str(tree), "/proc/none/x")
    with pytest.raises(ParameterError, match="several hosts"):
        share.download({"ansible_host_pattern": "h1:h2"}, "/etc/hostname", str(kept))


@pytest.mark.mlos
def test_names_are_no_code(share: AnsibleService, ssh_host: Host, tmp_path: Path) -> None:
    name = 'it\'s $(touch x) `y` {{ 7 * 7 }} "z"'
    (tmp_path / name).write_text("1")
    share.upload(H1, str(tmp_path / name), f"names/{name}/")
    assert on(ssh_host, share, f"names/{name}/{name}").read_text() == "1"
    share.download(H1, f"names/{name}", f"{tmp_path}/back")
    assert look(tmp_path / "back") == {name: "100644 1"}


def test_as_another_user(ssh_hosts: Hosts, ssh_host: Host, tree: Path, tmp_path: Path) -> None:
    """Log in as an unprivileged user, and write and read what is root's."""
    service = AnsibleService({"inventory": str(ssh_hosts.inventory(user="bench", become=True))})
    service.upload(H1, str(tree), "/root/became")
    service.upload(H1, str(tree / "sub/run.sh"), "/root/became.sh")
    try:
        there = ssh_host.path("/root/became")
        assert look(there) == look(tree)
        assert (there / "a b").owner() == ssh_host.path("/root/became.sh").owner() == "root"
        service.download(H1, "/root/became", f"{tmp_path}/back")
        service.download(H1, "/root/became.sh", f"{tmp_path}/back/")
        assert look(tmp_path / "back") == look(tree) | {"became.sh": "100751 #!/bin/sh\n"}
        assert ssh_host.exec("ls -A /tmp | grep ansible_env", check=False).stdout == ""
    finally:
        ssh_host.exec("rm -rf /root/became /root/became.sh")


def share_env(make_service: MakeService, tmp_path: Path, to: str) -> CompositeEnv:
    """A benchmark that writes a result, and the environment that fetches it, both mlos_bench's own."""
    (tmp_path / "count.sh").write_text('echo "files=$(ls out | wc -l)"; echo "score=$(cat out/score.txt)"\n')
    service = make_service({"share_dir": "/srv/trials"}, {"vmName": "h1"})
    write = "mkdir -p /srv/trials/out && cd /srv/trials/out && rm -f * && echo $trial_id >score.txt && touch t$trial_id"
    children = [
        {
            "class": "mlos_bench.environments.remote.RemoteEnv",
            "name": "remote",
            "config": {"required_args": ["vmName", "trial_id"], "shell_env_params": ["trial_id"], "run": [write]},
        },
        {
            "class": "mlos_bench.environments.local.LocalFileShareEnv",
            "name": "fetch",
            "config": {
                "required_args": ["trial_id"],
                "download": [{"from": "out", "to": to}],
                "run": [f"sh {tmp_path}/count.sh"],
                "results_stdout_pattern": r"(\w+)=(\d+)",
            },
        },
    ]
    given = {"vmName": "h1", "trial_id": 0}
    config: dict[str, Any] = {"const_args": {"vmName": "h1"}, "required_args": ["trial_id"], "children": children}
    return CompositeEnv(name="both", config=config, global_config=given, tunables=TunableGroups({}), service=service)


@pytest.mark.parametrize(
    ("to", "main"),
    [
        pytest.param("$PWD/out", False, id="0.6.2"),
        pytest.param("$PWD/out/", True, id="main", marks=pytest.mark.mlos),
    ],
)
def test_each_trial_sees_its_own_files(make_service: MakeService, tmp_path: Path, to: str, main: bool) -> None:
    """The temporary directory is the same for all trials: trial 2 must not find what trial 1 fetched."""
    env = share_env(make_service, tmp_path, to)
    with ExitStack() as whole:
        if not main:
            whole.enter_context(env)
        for trial in (1, 2):
            with ExitStack() as each:
                if main:
                    each.enter_context(env)
                assert env.setup(TunableGroups({}), {"trial_id": trial})
                status, _, metrics = env.run()
            assert (status.name, metrics) == ("SUCCEEDED", {"files": 2, "score": trial})


@pytest.mark.mlos
def test_upload_and_scripts_of_a_local_file_share(make_service: MakeService, ssh_host: Host, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input/data").write_text("data")
    service = make_service({"share_dir": "/srv/trials"}, {"vmName": "h1"})
    env = LocalFileShareEnv(
        name="send",
        config={
            "setup": ["echo made >made.txt"],
            "upload": [{"from": "input/", "to": "given/in"}, {"from": "made.txt", "to": "given/made.txt"}],
        },
        tunables=TunableGroups({}),
        service=service,
    )
    with env:
        assert env.setup(TunableGroups({}))
    assert look(ssh_host.path("/srv/trials/given")).keys() == {"in", "in/data", "made.txt"}
