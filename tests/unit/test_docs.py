"""The blocks of the documentation, as far as that is known without running them; tests/docs runs them."""

import re
import shlex

import json5
import pytest
import yaml
from typer.main import get_command

from ansible_env.cli.app import app
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError
from tests.docs import reference
from tests.docs.blocks import ROOT, blocks

BLOCKS = blocks()
LANGUAGES = {"sh", "console", "python", "yaml", "json", "jsonc", "ini", "sql", "text", "groovy", "toml"}
COMMANDS = [(block, command) for block in BLOCKS if block.language in ("sh", "console") for command in block.commands]


def of(*languages):
    return pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in languages], ids=str)


def test_there_are_blocks_and_each_says_what_it_is():
    assert len(COMMANDS) > 20
    assert {block.language for block in BLOCKS} <= LANGUAGES


@pytest.mark.parametrize(("block", "command"), COMMANDS, ids=lambda value: str(value)[:60])
def test_every_command_has_only_options_that_there_are(block, command):
    words = shlex.split(re.split(r"\s[|>&]+\s?|;", command)[0])
    while words and re.match(r"\w+=", words[0]):
        del words[0]
    if not words or words[0].rpartition("/")[2] != "ansible-env":
        return
    group = get_command(app)
    name, *arguments = words[1:]
    if name.startswith("-"):
        return
    parent = group.make_context("ansible-env", [name], resilient_parsing=True)
    _, found, _ = group.resolve_command(parent, [name])
    assert found is not None, f"{block}: there is no command {name!r}"
    found.make_context(name, arguments, parent=parent)  # raises for what it does not know


@of("python")
def test_python_compiles(block):
    compile(block.text, str(block), "exec")


@of("json", "jsonc")
def test_json_is_json(block):
    json5.loads(block.text)


class Loader(yaml.SafeLoader):
    """Knows Ansible's tags."""


Loader.add_multi_constructor("!", lambda loader, tag, node: None)


@of("yaml")
def test_yaml_is_yaml_and_an_environment_is_one(block):
    data = yaml.load(block.text, Loader=Loader)
    known = {field.alias or name for name, field in EnvironmentConfig.model_fields.items()}
    if isinstance(data, dict) and set(data) & (set(known) - {"hosts", "name"}):
        assert not set(data) - set(known), block
        try:
            EnvironmentConfig.from_mapping({"name": "x", "run": ["true"]} | data)
        except ConfigError as error:  # a fragment may speak of what is elsewhere
            assert all(re.search("there is no (file|parameter|directory)", str(p)) for p in error.problems), error


PLACES = ("", "ansible_env", "ansible_env/engine", "ansible_env/content/ansible_collections/ansible_env/bench")


def test_every_file_of_the_code_that_a_page_names_is_there():
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (page.name, name) for page in pages for name in re.findall(r"`([\w./]+/\w+\.(?:py|sh|pl))`", page.read_text())
    }
    assert len(named) > 20
    assert sorted(name for name in named if not any((ROOT / place / name[1]).is_file() for place in PLACES)) == []


def test_the_reference_is_that_of_the_schema():
    page = reference.PLACE.read_text(encoding="utf-8")
    assert page == reference.page(), "docs/reference/environment-file.md is stale: python -m tests.docs.reference"
    assert "## Other" not in page, "a new key of environment files has no place in tests/docs/reference.py"
