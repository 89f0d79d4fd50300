"""Deadlines, intervals and telemetry of an environment file: their formats and defaults."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from ansible_env.config.faults import refuse_one
from ansible_env.config.text import kind_of
from ansible_env.errors import ConfigError, MetricsPatternError, Problem
from ansible_env.results.metrics.pattern import compile_pattern

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAX_SECONDS = 1e9
"""Longest time. Locks and sleeps cannot take much more; it is 31 years."""


MIN_EVERY = 0.1
"""Shortest sampling interval, in seconds. Faster sampling would measure itself."""


def _seconds(value: Any) -> float | None:
    """Read seconds: a number, or text such as `90s` or `1h30m`. None means no deadline."""
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"(\s*\d+(\.\d+)?\s*(ms|[smhd]))+\s*", value):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|[smhd])", value)
        value = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "the units are ms, s, m, h and d" if isinstance(value, str) else None
        refuse_one(f"must be seconds, a text like '90s' or '1h30m', or null, not {_shown(value)}", hint)
    if not math.isfinite(value) or not 0 < value <= _MAX_SECONDS:
        refuse_one("must be more than 0 and less than 30 years", "null means no deadline")
    return float(value)


def _grace(value: Any) -> float:
    if value is None:
        refuse_one("must be a time; without one, a script that ignores TERM would never end")
    return _pause(value)


def _pause(value: Any) -> float:
    if value is None:
        refuse_one("must be a time; 0 means none")
    return 0.0 if value == 0 and not isinstance(value, bool) else _seconds(value) or 0.0


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else kind_of(value)


_TIME_SCHEMA: list[dict[str, Any]] = [
    {"type": "number", "exclusiveMinimum": 0},
    {"type": "string", "pattern": r"^(\s*\d+(\.\d+)?\s*(ms|[smhd]))+\s*$"},
]

Deadline = Annotated[
    float | None, BeforeValidator(_seconds), WithJsonSchema({"anyOf": [*_TIME_SCHEMA, {"type": "null"}]})
]
Grace = Annotated[
    float, BeforeValidator(_grace), WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, _TIME_SCHEMA[1]]})
]
Pause = Annotated[
    float, BeforeValidator(_pause), WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, _TIME_SCHEMA[1]]})
]


def parse_pause(text: str) -> float:
    """Return the seconds of a text such as `30s`.

    Raises:
        ConfigError: it is no time.
    """
    number = text.strip()
    try:
        return _pause(float(number) if re.fullmatch(r"\d+(\.\d+)?", number) else text)
    except PydanticCustomError as error:
        (fault,) = (error.context or {})["faults"]
        raise ConfigError(Problem(fault[1], hint=fault[2])) from None


def _every(value: Any) -> float:
    seconds = _seconds(value)
    if seconds is None or seconds < MIN_EVERY:
        refuse_one(f"must be at least {MIN_EVERY:g} seconds")
    return seconds


Every = Annotated[float, BeforeValidator(_every), WithJsonSchema({"anyOf": _TIME_SCHEMA})]


class Timeouts(BaseModel):
    """Deadlines: seconds, or text such as `90s`, `5m`, `1h30m`. null means no deadline."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    setup: Deadline = Field(default=3600.0, description="Deadline of each script of setup.")
    run: Deadline = Field(default=3600.0, description="Deadline of each script of run.")
    teardown: Deadline = Field(default=3600.0, description="Deadline of each script of teardown.")
    boot: Deadline = Field(default=600.0, description="How long `wait_boot` waits for the hosts.")
    grace: Grace = Field(default=5.0, description="Time between TERM and KILL for a script past its deadline.")


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
