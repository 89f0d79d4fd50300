"""What is asked of podman and docker, with programs of those names that only write down what they are told."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_env import ConfigError, EngineError, RemoteEnv, Status
from ansible_env.cli import ansible_call
from ansible_env.cli.options import ContainerEngineName, Place
from ansible_env.engine.container import Container, ContainerEngine
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Options
from ansible_env.engine.warm import WarmEngine

IMAGE = "registry.example.com/bench:1"
Programs = Callable[..., Path]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Put programs in the PATH, and nothing else but what a shell needs. Their arguments are in a file."""

    def make(body: str = "exit 0", *names: str) -> Path:
        said = tmp_path / "said"
        (tmp_path / "bin").mkdir(exist_ok=True)
        for name in names or ("podman",):
            path = tmp_path / "bin" / name
            path.write_text(f"#!/bin/sh\nprintf '%s ' {name} \"$@\" >>{said}\necho >>{said}\n{body}\n")
            path.chmod(0o755)
        return said

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "cat", "sleep"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool, path="/usr/bin:/bin")))
    return make


def test_nothing_that_runs_containers(programs: Programs) -> None:
    engine = ContainerEngine(IMAGE)
    with pytest.raises(EngineError, match=r"needs podman or docker, which is not in the PATH \(apt"):
        engine.hosts(Inventory.of("h1,"), "all", None, Options())
    with pytest.raises(EngineError, match="needs docker, which"):
        programs()
        _ = ContainerEngine(IMAGE, "docker").program
    engine.close()


def test_a_container_engine_that_does_not_work(programs: Programs) -> None:
    programs("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "docker")
    with pytest.raises(EngineError, match="docker does not work: Cannot connect to the Docker daemon"):
        _ = ContainerEngine(IMAGE).program


def test_an_image_that_cannot_be_had(programs: Programs) -> None:
    said = programs('case "$1" in version) ;; pull) echo "Error: no such manifest" >&2; exit 125 ;; *) exit 1 ;; esac')
    with pytest.raises(EngineError, match=r"cannot get the image \S+: Error: no such manifest \(build one"):
        _ = ContainerEngine(IMAGE).program
    assert said.read_text().splitlines()[-1].split() == ["podman", "pull", "--quiet", IMAGE]


def test_an_image_that_is_here_is_not_fetched(programs: Programs) -> None:
    said = programs("exit 0", "docker", "podman")
    assert ContainerEngine(IMAGE).program == "podman", "of both the first"
    assert ContainerEngine(IMAGE, "docker").program == "docker"
    assert "pull" not in said.read_text()


@pytest.mark.parametrize(("image", "program"), [("", None), ("-v/:/", None), (IMAGE, "bwrap")])
def test_what_is_no_image_or_program(image: str, program: str | None) -> None:
    with pytest.raises(ConfigError):
        ContainerEngine(image, program)


def test_the_command_has_one_place() -> None:
    engine = ansible_call.make_engine(Place(execution_environment=IMAGE, container_engine=ContainerEngineName.DOCKER))
    assert isinstance(engine, ContainerEngine)
    assert isinstance(ansible_call.make_engine(Place()), WarmEngine)
    for wrong in (Place(execution_environment=IMAGE, worker="ssh://x"), Place(container_mount=["/a:/a"])):
        with pytest.raises(ConfigError):
            ansible_call.make_engine(wrong)


ANSIBLE = r"""
case "$1 $3" in
    "run "*) ;;
    *) exit 0 ;;
esac
for word; do [ "$word" = --list-hosts ] && { echo "  hosts (1):"; echo "    h1"; exit 0; }; done
exit 3
"""


def test_what_ansible_runner_is_told(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, up to the container: what is mounted, what is passed, and what stays here."""
    for name in ("inventory", "env", "deploy", "home/.ssh", "cwd"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "inventory/hosts").write_text("h1\n")
    (tmp_path / "deploy/site.yml").write_text("- hosts: all\n")
    (tmp_path / "env/e.yml").write_text("name: e\nrun: [{import_playbook: ../deploy/site.yml}]\n")
    (tmp_path / "cwd/h.txt").write_text("h1\n")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_REMOTE_PORT", "2222")
    monkeypatch.setenv("VIRTUAL_ENV", "/only/here")
    said = programs(ANSIBLE)
    engine = ContainerEngine(IMAGE, mounts=["/etc/keys:/etc/keys:ro"])
    path, inventory = tmp_path / "env/e.yml", tmp_path / "inventory/hosts"
    with RemoteEnv.from_file(path, inventory=inventory, limit="@h.txt", engine=engine, logs=tmp_path / "logs") as env:
        assert env.run_phase("run").status is Status.FAILED
    engine.close()
    calls = re.split(r"^(?=podman )", said.read_text(), flags=re.MULTILINE)  # one has a program of several lines
    runs = [shlex.split(text) for text in calls if text.startswith("podman run")]
    assert ["--list-hosts" in words for words in runs] == [True, False]
    for words in runs:
        mounts = [words[number + 1] for number, word in enumerate(words) if word == "-v"]
        assert f"{tmp_path}/inventory:{tmp_path}/inventory:ro" in mounts
        assert f"{tmp_path}/home/.ssh:/root/.ssh:ro" in mounts
        assert "/etc/keys:/etc/keys:ro" in mounts
        assert {"--network=host", "--security-opt=label=disable", IMAGE} <= set(words)
    last = runs[-1]
    mounts = [last[number + 1] for number, word in enumerate(last) if word == "-v"]
    for name in ("env", "deploy"):
        assert f"{tmp_path}/{name}:{tmp_path}/{name}:ro" in mounts
    assert [mount for mount in mounts if mount.startswith(f"{tmp_path}/logs") and not mount.endswith(":ro")]
    command = last[last.index(IMAGE) + 1 :]
    assert command[:2] == ["/bin/sh", "-c"]
    assert "ansible-playbook -i " in " ".join(command)
    assert [word for word in last if word.startswith("--limit")] == ["--limit=@h.txt"]
    for words in runs:
        mounts = [words[number + 1] for number, word in enumerate(words) if word == "-v"]
        assert f"{tmp_path}/cwd:{tmp_path}/cwd:ro" in mounts
    assert f"--workdir={tmp_path}/cwd" in runs[0]
    assert last[last.index("--workdir") + 1] == f"{tmp_path}/cwd"
    listed = [runs[0][number + 1] for number, word in enumerate(runs[0]) if word == "--env"]
    assert "ANSIBLE_REMOTE_PORT" in listed
    assert not {"PATH", "HOME", "VIRTUAL_ENV", "ANSIBLE_CALLBACK_PLUGINS"} & set(listed)


def test_an_inventory_in_a_directory_like_tmp(tmp_path: Path) -> None:
    """Not the whole of /tmp: what is ours would lie in a directory that is only to be read."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts").write_text("h1\n")
    (tmp_path / "own").mkdir()
    engine = ContainerEngine(IMAGE)
    mounts = engine.volumes(Inventory.of(tmp_path / "hosts"), Options(), {}, tmp_path / "own")
    assert [mount.split(":")[0] for mount in mounts if str(tmp_path) in mount] == [
        f"{tmp_path}/own", f"{tmp_path}/group_vars", f"{tmp_path}/hosts"
    ]  # fmt: skip
    assert mounts[0] == f"{tmp_path}/own:{tmp_path}/own"


def test_processes_in_a_container_are_asked_by_the_container_engine(programs: Programs) -> None:
    """Their numbers are others out here, where they may be those of anybody's processes."""
    said = programs()
    container = Container("podman", "c1")
    container.signal([7, 8], 10)
    container.kill("TERM")
    assert said.read_text().splitlines() == [
        "podman exec c1 /bin/sh -c kill -10 7 8 ",
        "podman kill --signal TERM c1 ",
    ]
