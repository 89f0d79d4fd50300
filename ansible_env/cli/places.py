"""The options that say where Ansible itself runs."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

import typer

from ansible_env.cli.signature import option

_WHERE = "Where Ansible runs"


class EngineName(enum.StrEnum):
    """How ansible-playbook is run."""

    WARM = "warm"
    COLD = "cold"
    SESSION = "session"


class ContainerEngineName(enum.StrEnum):
    """What runs containers."""

    PODMAN = "podman"
    DOCKER = "docker"


@dataclass(kw_only=True)
class Place:
    """Here, at a worker, or in a container."""

    engine: Annotated[
        EngineName,
        typer.Option(
            "--engine",
            rich_help_panel=_WHERE,
            help="warm: fork each ansible-playbook from a process that has Ansible loaded; cold: start it anew; "
            "session: fork it before its phase comes.",
        ),
    ] = EngineName.WARM
    worker: Annotated[
        str | None,
        option(
            "--worker",
            panel=_WHERE,
            metavar="TARGET",
            help="Run Ansible elsewhere, by `ansible-runner worker`: ssh://USER@HOST:PORT/VENV, of which the host is "
            "enough, or command:WORDS for any command that carries stdin and stdout.",
        ),
    ] = None
    execution_environment: Annotated[
        str | None,
        option(
            "--execution-environment",
            panel=_WHERE,
            metavar="IMAGE",
            help="Run Ansible in a container of this image, which has ansible-core and ansible-env.",
        ),
    ] = None
    container_engine: Annotated[
        ContainerEngineName | None,
        option("--container-engine", panel=_WHERE, help="What runs it. Default: the first that is here."),
    ] = None
    container_mount: Annotated[
        list[str] | None,
        option(
            "--container-mount",
            panel=_WHERE,
            metavar="PATH:PATH[:ro]",
            help="What else it is to see of this machine. Repeatable.",
        ),
    ] = None
