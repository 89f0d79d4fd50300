"""The reference of the collection, made of what `ansible-doc --json` says."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLLECTION = "ansible_env.bench"
TYPES = {
    "module": "Modules",
    "role": "Roles",
    "lookup": "Lookups",
    "filter": "Filters",
    "callback": "Callbacks",
}


def page() -> str:
    """Return a section for each module and plugin."""
    lines: list[str] = []
    for kind, title in TYPES.items():
        lines += [f"## {title}", ""]
        names = _ansible_doc(kind, "--list", COLLECTION)
        for name, about in _ansible_doc(kind, *names).items():
            lines += _section(kind, name, about)
    return "\n".join(lines)


def _ansible_doc(kind: str, *arguments: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--json", "--type", kind, *arguments]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    assert found, f"ansible-doc knows no {kind} of {COLLECTION}"
    return dict(found)


def _section(kind: str, name: str, about: Mapping[str, Any]) -> list[str]:
    doc = about["entry_points"]["main"] if kind == "role" else about["doc"]
    anchor = f"{name.rpartition('.')[2]}-{kind}"
    lines = [f"### {name} {{: #{anchor} }}", "", markdown(doc["short_description"]) + ".", ""]
    lines += _paragraphs(doc.get("description", []))
    lines += _options("Options", doc.get("options", {}))
    lines += _options("Returned values", about.get("return") or {})
    if doc.get("notes"):
        lines += ["**Notes**", "", *(f"- {markdown(note)}" for note in doc["notes"]), ""]
    if doc.get("attributes"):
        lines += ["**Attributes**", "", *(_attribute(*item) for item in doc["attributes"].items()), ""]
    if about.get("examples"):
        lines += ["**Examples**", "", f"~~~~ yaml\n{about['examples'].strip()}\n~~~~", ""]
    return lines


def _options(title: str, options: Mapping[str, Any]) -> list[str]:
    if not options:
        return []
    lines = [f"**{title}**", ""]
    for name, option in options.items():
        lines += [f"`{name}`: {', '.join(_facts(option))}", *_definition(option), ""]
    return lines


def _facts(option: Mapping[str, Any]) -> list[str]:
    kind = option.get("type", "str")
    facts = [f"{kind} of {option['elements']}" if "elements" in option else kind]
    if option.get("required"):
        facts.append("required")
    if option.get("default") not in (None, "", [], {}):
        facts.append(f"default `{json.dumps(option['default'])}`")
    if option.get("choices"):
        facts.append("one of " + ", ".join(f"`{choice}`" for choice in option["choices"]))
    if "returned" in option:
        facts.append(f"returned: {markdown(option['returned'])}")
    return facts


def _definition(option: Mapping[str, Any]) -> list[str]:
    paragraphs = [line for line in _paragraphs(option.get("description", [])) if line]
    for source in ("env", "ini"):
        for place in option.get(source, []):
            where = place["name"] if source == "env" else f"[{place['section']}] {place['key']}"
            paragraphs.append(f"{'Variable' if source == 'env' else 'In ansible.cfg'}: `{where}`.")
    first, *others = paragraphs or [""]
    return [f":   {first}", *(f"\n    {other}" for other in others)]


def _attribute(name: str, attribute: Mapping[str, Any]) -> str:
    details = " ".join(_paragraphs(attribute.get("details", []))).strip()
    support = attribute.get("platforms") or attribute["support"]
    return f"- `{name}`: {support}. {details}".rstrip()


def _paragraphs(text: str | list[str]) -> list[str]:
    return [line for part in ([text] if isinstance(text, str) else text) for line in (markdown(part), "")]


def markdown(text: str) -> str:
    """Return text with Ansible's markup (`C(code)`, `O(option)` and so on) as Markdown."""
    parts = re.split(r"\b(C|E|O|RV|V|M|P|I|B|L|U)\(((?:[^()]|\([^()]*\))*)\)", text)
    lines = [_plain(parts[0])]
    for kind, inner, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        lines += [_marked(kind, inner), _plain(after)]
    return "".join(lines)


def _marked(kind: str, inner: str) -> str:
    if kind in ("I", "B"):
        return f"*{inner}*" if kind == "I" else f"**{inner}**"
    if kind == "L":
        words, _, url = inner.rpartition(",")
        return f"[{words}]({url.strip()})"
    if kind == "U":
        return f"<{inner}>"
    return f"`{inner.partition('#')[0] if kind == 'P' else inner}`"


def _plain(text: str) -> str:
    return re.sub(r"([*_\[\]])", r"\\\1", html.escape(text, quote=False))
