"""The JSON schemas of mlos_bench, extended by our classes.

mlos_bench checks each configuration against closed lists of classes (mlos_bench/config/schemas/), when it reads a file
and again in each constructor. It has no way to add to them, so this module extends its schemas in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlos_bench.config.schemas.config_schemas import SCHEMA_STORE, SchemaStore
from referencing import Registry

from ansible_env.config.schema import json_schema
from ansible_env.errors import AnsibleEnvError
from ansible_env.mlos.settings import Settings

SERVICE_CLASSES = ("ansible_env.mlos.AnsibleService", "ansible_env.mlos.service.AnsibleService")
ENVIRONMENT_CLASSES = ("ansible_env.mlos.AnsibleEnv", "ansible_env.mlos.environment.AnsibleEnv")

_BASE = "https://raw.githubusercontent.com/microsoft/MLOS/main/mlos_bench/mlos_bench/config/schemas/"
_SERVICES = f"{_BASE}services/service-schema.json"
_LEAVES = f"{_BASE}environments/leaf-environment-subschemas.json"
_ANY_ENVIRONMENT = f"{_BASE}environments/base-environment-subschema.json"
_COMMON = f"{_BASE}environments/common-environment-subschemas.json#/$defs/common_environment_config"

_OURS = "https://ansible-env.invalid/mlos/"
_NOT_IN_MLOS = ("tunables", "experiment_id", "include_tunables", "include_services", "$schema")
"""Keys of an environment file that mlos_bench has elsewhere."""


def register_schemas() -> None:
    """Make mlos_bench accept and check our classes in its configurations. It may be called again.

    Raises:
        AnsibleEnvError: the schemas of this mlos_bench have an unknown form.
    """
    service, environment = _service_schema(), _environment_schema()
    if service["$id"] in SCHEMA_STORE:
        return
    try:
        services = SCHEMA_STORE[_SERVICES]["$defs"]["service_config"]["allOf"][0]["oneOf"]
        leaves = next(part["oneOf"] for part in SCHEMA_STORE[_LEAVES]["allOf"] if "oneOf" in part)
        names = SCHEMA_STORE[_ANY_ENVIRONMENT]["properties"]["class"]
        names["pattern"] = rf"(?:{names['pattern']})|^ansible_env[.]mlos[.]"
    except (KeyError, IndexError, TypeError, StopIteration) as error:
        raise AnsibleEnvError(f"mlos_bench's JSON schemas have an unknown form: {error!r}") from error
    for schema in (service, environment):
        SchemaStore._SCHEMA_STORE[schema["$id"]] = schema
    services.append({"$ref": service["$id"]})
    leaves.append({"$ref": environment["$id"]})
    SchemaStore._REGISTRY = Registry()  # built again from all schemas on next use


def _service_schema() -> dict[str, Any]:
    config = {**Settings.model_json_schema(), "minProperties": 1}
    return _schema("service", "AnsibleService", SERVICE_CLASSES, config, required=["class"])


def _environment_schema() -> dict[str, Any]:
    document = json_schema()
    fields = document["$defs"]["MlosEnvironment"]["properties"]["config"]["properties"]
    properties = {name: field for name, field in fields.items() if name not in _NOT_IN_MLOS}
    properties["environment_file"] = {
        "type": "string",
        "description": "An environment file of ansible_env. The keys given here override those of the file.",
    }
    config = {"allOf": [{"$ref": _COMMON}], "type": "object", "properties": properties, "additionalProperties": False}
    more = {"required": ["class", "config"], "$defs": document["$defs"]}
    return _schema("environment", "AnsibleEnv", ENVIRONMENT_CLASSES, config, **more)


def _schema(name: str, title: str, classes: Sequence[str], config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{_OURS}{name}.json",
        "title": f"ansible_env {title} config",
        "type": "object",
        "properties": {"class": {"enum": list(classes)}, "config": config},
        **more,
    }
