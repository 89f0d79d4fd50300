"""The environment file: its model, how it is read, and what is wrong with one."""

from ansible_env.config.model import (
    PHASES,
    EnvironmentConfig,
    ScriptItem,
    SecretSource,
    TaggedValue,
    Timeouts,
    json_schema,
)

__all__ = ["PHASES", "EnvironmentConfig", "ScriptItem", "SecretSource", "TaggedValue", "Timeouts", "json_schema"]
