"""What of an environment file is about telemetry."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ansible_env.config.fields import refuse_one
from ansible_env.config.times import Every
from ansible_env.errors import MetricsPatternError
from ansible_env.results.metrics.pattern import compile_pattern

__all__ = ["Probe", "Probes"]


class Probe(BaseModel):
    """One thing to be looked at, again and again, while `run` runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    every: Every = Field(default=1.0, description="Time between two looks: seconds, or text as '500ms', '10s'.")
    command: str | None = Field(
        default=None, min_length=1, description="Shell text, with the variables of the scripts. Without it: /proc."
    )
    pattern: str | None = Field(
        default=None, min_length=1, description="What finds metrics in its stdout, as results_stdout_pattern."
    )

    @model_validator(mode="after")
    def _whole(self) -> Probe:
        if (self.command is None) != (self.pattern is None):
            refuse_one(
                "'command' and 'pattern' go together", "without both, cpu, memory, disks and network are sampled"
            )
        if self.pattern is not None:
            try:
                compile_pattern(self.pattern)
            except MetricsPatternError as error:
                refuse_one(f"pattern: {error}")
        return self


def _probes(value: Any) -> Any:
    if value is True:
        return (Probe(),)
    if value is False or value is None:
        return ()
    return tuple(value) if isinstance(value, list) else value


Probes = Annotated[
    tuple[Probe, ...],
    BeforeValidator(_probes, json_schema_input_type=bool | list[Probe]),
]
