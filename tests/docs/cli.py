"""The reference of the command, made of the records that `--help` shows."""

from __future__ import annotations

import html
import re
from typing import Any

from rich.markup import render
from typer.main import get_command

from ansible_env.cli.app import app


def page() -> str:
    """Return a section for each command."""
    group: Any = get_command(app)
    root = group.make_context("ansible-env", ["schema"], resilient_parsing=True)
    return "\n".join(_section(root, name, group.resolve_command(root, [name])[1]) for name in group.list_commands(root))


def _section(root: Any, name: str, command: Any) -> str:
    context = command.make_context(name, [], parent=root, resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", f"~~~~ text\nansible-env {name} {usage}\n~~~~", "", _text(command.help or ""), ""]
    panels: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:  # None for one that is hidden
            argument = parameter.param_type_name == "argument"
            panel = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
            names, text = record
            panels.setdefault(panel, []).append(f"`{names.replace('`', '')}`\n:   {_text(text)}\n")
    for title, items in sorted(panels.items(), key=lambda panel: panel[0] == "Options"):
        lines += [f"**{title}**", "", *items]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Return help text, which is rich's markup, as Markdown: what looks like HTML or a link is text."""
    text = render(text).plain
    paragraphs = [" ".join(part.split()) for part in text.replace("\f", "").split("\n\n")]
    parts = re.split(r"(`[^`]*`)", "\n\n".join(paragraphs))
    return "".join(part if part.startswith("`") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    return re.sub(r"([*_\[\]$])", r"\\\1", html.escape(text, quote=False))
