"""Settings of the user's ansible.cfg that ansible_env overrides.

docs/reference/ansible-settings.md gives the reasons; tests/integration/settings tests every setting of ansible-core.
"""

from __future__ import annotations

from ansible_env.engine.ansible_cfg import AnsibleConfig

OVERRIDES = {
    # Lists of hosts and events are read from what Ansible prints.
    "ANSIBLE_VERBOSITY": "0",
    "ANSIBLE_DEBUG": "False",
    "ANSIBLE_FORCE_COLOR": "False",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_NOCOWS": "True",
    "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "False",
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    # Nobody sees a prompt; see engine/prompts.py.
    "ANSIBLE_ASK_PASS": "False",
    "ANSIBLE_BECOME_ASK_PASS": "False",
    "ANSIBLE_ASK_VAULT_PASS": "False",
    "ANSIBLE_ENABLE_TASK_DEBUGGER": "False",
    # `on_host_failure` of the environment decides; a host that Ansible leaves out would not have run.
    "ANSIBLE_ANY_ERRORS_FATAL": "False",
    # Text with `{{ }}` in it would reach a script as it is.
    "ANSIBLE_ERROR_ON_UNDEFINED_VARS": "True",
    # Our own collection is found there.
    "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "True",
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
    "ANSIBLE_MODULE_STRICT_UTF8_RESPONSE": "False",
}
YAML_EXTENSIONS = (".yml", ".yaml", ".json")
"""Ansible's own; our inventories are files of that kind."""
STRATEGY = "linear"


def overrides(config: AnsibleConfig) -> dict[str, str]:
    """Return the variables that override a configuration."""
    env = dict(OVERRIDES)
    if config.get("ANSIBLE_RUN_TAGS", "tags.run"):
        env["ANSIBLE_RUN_TAGS"] = "all"
    if config.get("ANSIBLE_SKIP_TAGS", "tags.skip"):
        env["ANSIBLE_SKIP_TAGS"] = ""
    if strategy := config.get("ANSIBLE_STRATEGY", "defaults.strategy"):
        env["ANSIBLE_STRATEGY"] = _strategy(strategy.value.strip())
    for variable, place, needed in (
        ("ANSIBLE_YAML_FILENAME_EXT", "defaults.yaml_valid_extensions", YAML_EXTENSIONS),
        ("ANSIBLE_INVENTORY_ENABLED", "inventory.enable_plugins", ("yaml",)),
    ):
        if setting := config.get(variable, place):
            items = setting.items()
            if missing := [each for each in needed if not _has(items, each)]:
                env[variable] = ",".join([*items, *missing])
    return env


def _has(items: list[str], wanted: str) -> bool:
    return wanted in items or f"ansible.builtin.{wanted}" in items


def _strategy(name: str) -> str:
    """Return a strategy with which all hosts run one task before the next one; Mitogen has its own."""
    return "mitogen_linear" if name.startswith("mitogen_") else STRATEGY
