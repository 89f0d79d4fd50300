"""Passwords that Ansible would ask for: its prompt is invisible, so they are asked for earlier, or refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_env.engine.ansible_cfg import AnsibleConfig, Setting
from ansible_env.engine.protocol import Options
from ansible_env.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Prompt:
    """A password that Ansible asks for if it is configured to."""

    setting: tuple[str, str]
    """Variable and key in ansible.cfg of the setting that makes Ansible ask."""
    file: tuple[str, str]
    """Variable and key of the file that may contain it."""
    options: tuple[str, ...]
    """Options of ansible-playbook that name the file."""
    flags: tuple[str, ...]
    """Options of ansible-playbook that ask."""

    def asks(self, config: AnsibleConfig) -> Setting | None:
        """Return the setting that makes Ansible ask, unless a file has the password."""
        setting = config.get(*self.setting)
        return setting if setting and setting.is_true and not config.get(*self.file) else None

    def is_answered(self, arguments: Sequence[str]) -> bool:
        """Whether one of the arguments names a file."""
        return any(word.partition("=")[0] in self.options for word in arguments)


CONNECTION = Prompt(
    ("ANSIBLE_ASK_PASS", "defaults.ask_pass"),
    ("ANSIBLE_CONNECTION_PASSWORD_FILE", "defaults.connection_password_file"),
    ("--connection-password-file", "--conn-pass-file"),
    ("-k", "--ask-pass"),
)
BECOME = Prompt(
    ("ANSIBLE_BECOME_ASK_PASS", "privilege_escalation.become_ask_pass"),
    ("ANSIBLE_BECOME_PASSWORD_FILE", "defaults.become_password_file"),
    ("--become-password-file", "--become-pass-file"),
    ("-K", "--ask-become-pass"),
)
VAULT = Prompt(
    ("ANSIBLE_ASK_VAULT_PASS", "defaults.ask_vault_pass"),
    ("ANSIBLE_VAULT_PASSWORD_FILE", "defaults.vault_password_file"),
    ("--vault-password-file", "--vault-pass-file", "--vault-id"),
    ("-J", "--ask-vault-password", "--ask-vault-pass"),
)
IDENTITIES = ("ANSIBLE_VAULT_IDENTITY_LIST", "defaults.vault_identity_list")
STEP = "--step"
"""The option of ansible-playbook that asks before each task."""


def check_prompts(config: AnsibleConfig, options: Options, *, only_inventory: bool = False) -> None:
    """Refuse to start Ansible if it would ask for something. Reading an inventory needs no password of a host.

    Raises:
        ConfigError: lists each setting and option that makes it ask.
    """
    prompts = (VAULT,) if only_inventory else (CONNECTION, BECOME, VAULT)
    problems = [*_of_settings(config, options, prompts), *_of_arguments(options.arguments, prompts)]
    if problems:
        raise ConfigError(problems)


def _of_settings(config: AnsibleConfig, options: Options, prompts: Sequence[Prompt]) -> Iterator[Problem]:
    passwords = {CONNECTION: options.connection_password, BECOME: options.become_password}
    for prompt in prompts:
        setting = prompt.asks(config)
        if setting and passwords.get(prompt) is None and not prompt.is_answered(options.arguments):
            yield _problem(f"{setting.origin}: {setting.value}", prompt)
    if identities := config.get(*IDENTITIES):
        yield from (_problem(f"{identities.origin}: {item}", VAULT) for item in identities.items() if _asks(item))


def _of_arguments(arguments: Sequence[str], prompts: Sequence[Prompt]) -> Iterator[Problem]:
    for word, value in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        name, given, inline = word.partition("=")
        for prompt in prompts:
            if word in prompt.flags or (name in prompt.options and _asks(inline if given else value)):
                yield _problem(word, prompt)
        if word == STEP:
            yield Problem("Ansible's prompts cannot be answered", word)


def _asks(source: str) -> bool:
    """Whether the source of a password is a person, or our stdin, which Ansible does not have."""
    return source == "-" or source.rpartition("@")[2] in ("prompt", "prompt_ask_vault_pass")


def _problem(subject: str, prompt: Prompt) -> Problem:
    option = prompt.options[0]
    hint = f"{option} FILE names a file with the password, or a program that prints it"
    if prompt is not VAULT:
        hint += f"; on a terminal, {prompt.flags[0]} asks before anything starts"
    return Problem("Ansible would ask for a password, which is not possible here", subject, hint=hint)
