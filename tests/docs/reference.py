"""The keys of an environment file, as the JSON Schema has them. Run as a module, it writes the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_env.config.schema import json_schema
from tests.docs.blocks import ROOT

PLACE = ROOT / "docs" / "reference" / "environment-file.md"
GROUPS = {
    "What and where": ("name", "description", "hosts", "$schema", "include_services"),
    "Phases": (
        "setup",
        "run",
        "teardown",
        "setup_once",
        "teardown_once",
        "handlers",
        "shell",
        "fail_fast",
        "timeouts",
        "keep_running",
        "reboot",
    ),
    "Parameters": (
        *("const_args", "strict", "required_args", "tunables", "tunable_params", "include_tunables", "host_params"),
        *("shell_env_params", "shell_env_params_rename", "vars_params", "secret_params", "experiment_id"),
    ),
    "Metrics": (
        *(
            "results_stdout_pattern",
            "results_json",
            "metrics",
            "results_file",
            "required_metrics",
            "valid",
            "aggregate",
            "per_host_metrics",
        ),
        *("telemetry", "collect", "collect_limit_mib", "assert", "baseline"),
    ),
    "Groups of hosts": (
        *(
            "success",
            "max_unreachable",
            "on_host_failure",
            "retries",
            "retry_on",
            "stop_after",
            "settle",
            "cooldown",
            "splay",
            "forks",
            "serial",
            "order",
            "start",
            "exclusive",
            "wait_for_hosts",
            "require",
            "disturbed_if",
            "on_disturbed",
            "resource_metrics",
        ),
    ),
    "Logging in, and starting hosts": (
        *("become", "become_user", "become_method", "gather_facts"),
        *("wait_boot", "start_host", "stop_host", "restart_host"),
    ),
}
PARTS = {
    "Timeouts": "`timeouts`",
    "TelemetryProbe": "An item of `telemetry`",
    "SecretSource": "A value of `secret_params`",
    "TunableGroup": "A group of `tunables`",
}
HEAD = """# Environment file

<!-- `python -m tests.docs.reference` writes this page from the JSON Schema, and a test compares. -->

An environment file is YAML, JSON or JSON with comments. These are all its keys. `ansible-env schema` prints them as a
JSON Schema, for an editor that completes the file. [The SQLite example](../../examples/sqlite/environment.yml) explains
most of them where it uses them. [Existing playbooks and roles](../howto/existing-playbooks.md),
[groups](../howto/groups.md) and [telemetry](../howto/observability.md#telemetry-of-the-hosts) have the details.
"""


def page() -> str:
    """Return the page."""
    schema = json_schema()
    keys = schema["$defs"]["Environment"]["properties"]
    parts = [HEAD]
    grouped = {key for group in GROUPS.values() for key in group}
    groups = {**GROUPS, "Other": tuple(key for key in keys if key not in grouped)}
    for title, names in groups.items():
        if names:
            parts.append(f"\n## {title}\n\n{_table({name: keys[name] for name in names})}")
    for name, title in PARTS.items():
        of = schema["$defs"][name]
        about = f"{of['description']}\n\n" if "description" in of else ""
        parts.append(f"\n## {title}\n\n{about}{_table(of['properties'])}")
    parts.append(f"\n## A tunable\n\n{_table(_tunable(schema), defaults=False)}")
    return "".join(parts)


def _tunable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of all types of tunables together."""
    (params,) = schema["$defs"]["TunableGroup"]["properties"]["params"]["patternProperties"].values()
    found: dict[str, list[Any]] = {}
    for form in params["anyOf"]:
        for key, of in form["properties"].items():
            if of not in found.setdefault(key, []):
                found[key].append(of)
    return {key: forms[0] if len(forms) == 1 else {"anyOf": forms} for key, forms in found.items()}


def _table(keys: Mapping[str, Any], *, defaults: bool = True) -> str:
    lines = (
        ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
        if defaults
        else ["| Key | Value | Meaning |", "|---|---|---|"]
    )
    for key, of in keys.items():
        default = f" {_default(of)} |" if defaults else ""
        lines.append(f"| `{key}` | {_kind(of)} |{default} {_text(of.get('description', ''))} |".replace("  |", " |"))
    return "\n".join(lines) + "\n"


_NAMES = {
    "Timeouts": "deadlines",
    "Tunables": "groups, by name",
    "TelemetryProbe": "a mapping",
    "SecretSource": "a mapping",
    "Weights": "a list of: a number",
    "Distribution": "a distribution",
}


def _text(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _kind(of: Mapping[str, Any]) -> str:
    return _text(", or ".join(dict.fromkeys(_kinds(of))))


def _kinds(of: Mapping[str, Any]) -> Iterator[str]:  # noqa: C901 - one branch for each form of a schema
    """Yield what a value may be, in words."""
    if "$ref" in of:
        yield _NAMES[of["$ref"].rpartition("/")[2]]
    elif "anyOf" in of:
        found: list[str] = []
        for one in of["anyOf"]:
            same = one.get("type") == "array" and found and set(_kinds(one.get("items", {}))) <= set(found)
            found += ["a list of these"] if same else _kinds(one)
        yield from found
    elif "const" in of:
        yield f"`{of['const']}`"
    elif "enum" in of:
        yield ", ".join(f"`{value}`" for value in of["enum"])
    elif of.get("type") == "array":
        inner = ", or ".join(dict.fromkeys(_kinds(of["items"]))) if "items" in of else "anything"
        yield f"a list of: {inner}"
    elif of.get("type") == "object" and "at_least" in of.get("properties", {}):
        yield "`{at_least: N}`"
    elif of.get("type") == "object" and "fraction" in of.get("properties", {}):
        yield "`{fraction: X}`"
    else:
        names = of.get("type", "anything")
        for name in names if isinstance(names, list) else [names]:
            words = {"null": "", "boolean": "true or false", "object": "a mapping", "integer": "a whole number"}
            word = words.get(name, {"string": "text", "number": "a number"}.get(name, name))
            if word:
                yield word


def _default(of: Mapping[str, Any]) -> str:
    value = of.get("default")
    if value in (None, [], {}) or isinstance(value, dict):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


if __name__ == "__main__":
    PLACE.write_text(page(), encoding="utf-8")
