"""`-K` and `-k`: passwords that are asked for once, on a terminal, before anything starts."""

from __future__ import annotations

import getpass
import sys
from dataclasses import replace

from ansible_env.cli.options import Connection
from ansible_env.engine.environ import user_config
from ansible_env.engine.prompts import BECOME, CONNECTION, Prompt, check_prompts
from ansible_env.engine.protocol import Options
from ansible_env.errors import ConfigError, Problem


def ask_passwords(given: Connection, options: Options) -> Options:
    """Return the options with the passwords that the call, or Ansible's configuration, wants to be asked for.

    Raise ConfigError if there is no terminal to ask on, or a password is asked for and in a file, too.
    """
    config = user_config(options)
    wanted = []
    for prompt, flag in ((CONNECTION, given.ask_pass), (BECOME, given.ask_become_pass)):
        in_file = prompt.is_answered(options.arguments)
        if flag and in_file:
            raise ConfigError(Problem("goes without a file", prompt.flags[-1], hint=f"drop {prompt.options[0]}"))
        setting = prompt.asks(config)
        if flag or (setting and not in_file):
            wanted.append((prompt, prompt.flags[-1] if flag or not setting else f"{setting.origin}: {setting.value}"))
    problems = [_no_terminal(prompt, reason) for prompt, reason in wanted if not sys.stdin.isatty()]
    if problems:
        raise ConfigError(problems)
    for prompt, _ in wanted:
        if prompt is CONNECTION:
            options = replace(options, connection_password=_ask("SSH password: "))
        else:
            default = options.connection_password
            hint = "[defaults to SSH password]" if default else ""
            options = replace(options, become_password=_ask(f"BECOME password{hint}: ") or default)
    check_prompts(config, options)
    return options


def _no_terminal(prompt: Prompt, reason: str) -> Problem:
    hint = f"{prompt.options[0]} FILE names a file with the password, or a program that prints it"
    return Problem("a password is needed, and there is no terminal to ask for it", reason, hint=hint)


def _ask(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise ConfigError(Problem("no password was given", prompt.rstrip(": "))) from None
