"""The field `telemetry` of an environment file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ansible_env.config.faults import refuse_one
from ansible_env.config.times import Every
from ansible_env.errors import MetricsPatternError
from ansible_env.results.metrics.pattern import compile_pattern


class TelemetryProbe(BaseModel):
    """What to sample repeatedly while `run` runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    every: Every = Field(default=1.0, description="Interval between samples: seconds, or text such as '500ms', '10s'.")
    command: str | None = Field(
        default=None, min_length=1, description="Shell text with the variables of the scripts. Default: read /proc."
    )
    pattern: str | None = Field(
        default=None, min_length=1, description="Pattern for metrics in its stdout, as for results_stdout_pattern."
    )

    @model_validator(mode="after")
    def _whole(self) -> TelemetryProbe:
        if (self.command is None) != (self.pattern is None):
            refuse_one(
                "'command' and 'pattern' go together", "without both, CPU, memory, disks and network are sampled"
            )
        if self.pattern is not None:
            try:
                compile_pattern(self.pattern)
            except MetricsPatternError as error:
                refuse_one(f"pattern: {error}")
        return self


def _probes(value: Any) -> Any:
    if value is True:
        return (TelemetryProbe(),)
    if value is False or value is None:
        return ()
    return tuple(value) if isinstance(value, list) else value


Probes = Annotated[
    tuple[TelemetryProbe, ...],
    BeforeValidator(_probes, json_schema_input_type=bool | list[TelemetryProbe]),
]
