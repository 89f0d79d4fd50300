"""`render` and `schema`: a playbook, and the form of environment files; no host is touched."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_env.cli.options import Common, Parameters, option
from ansible_env.cli.parameters import given_values
from ansible_env.config.fields import ONCE, PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.schema import json_schema
from ansible_env.config.text import nearest
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.formatting import visible
from ansible_env.storage.bundle.files import to_json

KNOWN = (*PHASES, *ONCE)
_NOTE = """\
# {phases} of {name}, one play after the other.
# Run by hand, a host that fails gets none of the later plays: no teardown.
"""


@dataclass(kw_only=True)
class RenderOptions(Parameters):
    """Options of `render`."""

    phase: str | None = option(
        "--phase PHASE", "setup, run, teardown, setup_once, teardown_once. Default: all in order."
    )


def render(options: RenderOptions) -> str:
    """Print the playbook of a phase. To run it by hand: ansible-playbook -i INVENTORY file.yml."""
    config = EnvironmentConfig.load(options.environment)
    if options.phase is not None and options.phase not in KNOWN:
        hint = nearest(options.phase, KNOWN) or f"one of {', '.join(KNOWN)}"
        raise ConfigError(Problem(f"there is no phase {options.phase!r}", "--phase", hint=hint))
    values = given_values(config, options.params or [], options.params_file or [])
    env = RemoteEnv(config=config, global_config=values.globals)
    env.assign(values.tunables, values.for_trial(0, 1)[1])
    phases = (options.phase,) if options.phase else config.parts
    plays = [env.render(phase) for phase in phases]
    if len(plays) == 1:
        return plays[0]
    name = " ".join(config.name.split())
    note = _NOTE.format(phases=", ".join(phases), name=visible(name))
    return "---\n" + note + "".join(text.removeprefix("---\n") for text in plays)


def schema(options: Common) -> str:  # noqa: ARG001
    """Print the JSON Schema of environment files, for editors."""
    return to_json(json_schema(), indent=2) + "\n"
