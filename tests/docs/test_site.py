"""What `make docs` refuses and what it makes of links, as far as that is known without building the site."""

import pytest

pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")

from tests.docs import cli, collection, public, site

SAMPLE = '''"""A package."""
from sample.inner import Thing, helper
__all__ = ["Thing", "helper", "undocumented"]
def undocumented(): ...
'''
INNER = '''"""A module."""
class Base:
    """Documented."""
    def inherited(self): ...
class Thing(Base):
    """Documented."""
    def _private(self): ...
    def method(self): ...
    @property
    def fine(self):
        """Documented."""
def helper():
    """Documented."""
'''


def test_every_public_name_is_in_the_reference_and_documented():
    assert public.faults() == []


def test_a_name_that_is_not_documented_is_found(tmp_path):
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample/__init__.py").write_text(SAMPLE)
    (tmp_path / "sample/inner.py").write_text(INNER)
    page = tmp_path / "page.md"
    page.write_text("::: sample.inner.Thing\n\n::: sample.undocumented\n\n::: sample.gone\n")
    assert sorted(public.faults(tmp_path, page, ["sample"])) == [
        "sample.Thing.inherited: has no docstring",
        "sample.Thing.method: has no docstring",
        "sample.helper: is not in the reference",
        "sample.undocumented: has no docstring",
    ]


@pytest.mark.parametrize(
    ("source", "link", "result"),
    [
        ("README.md", "docs/tutorial.md", "tutorial.md"),
        ("README.md", "LICENSE", "LICENSE.md"),
        ("docs/howto/ci.md", "../reference/outcomes.md#exit-codes", "../reference/outcomes.md#exit-codes"),
        ("docs/howto/ansible.md", "../../README.md#ansible", "../index.md#ansible"),
        ("docs/howto/ansible.md", "../../playbooks/README.md", "../playbooks/README.md"),
        ("docs/tutorial.md", "../examples/sqlite/environment.yml", "examples/sqlite/environment.yml.md"),
        ("examples/README.md", "sqlite", "sqlite/README.md"),
        ("docs/tutorial.md", "../gone.md", "../gone.md"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site(source, link, result):
    text = f"[words]({link}) `[code]({link})`\n\n```sh\n[code]({link})\n```\n"
    changed = site.rewritten(source, text)
    assert changed == text.replace(f"[words]({link})", f"[words]({result})")


def test_the_generated_pages_have_every_command_and_plugin():
    commands = cli.page()
    assert all(f"\n## {name}\n" in f"\n{commands}" for name in ("init", "trial", "sweep", "doctor", "schema"))
    assert "`-i, --inventory INVENTORY`\n:   File, directory" in commands
    plugins = collection.page()
    names = (
        "phase-module",
        "transfer-module",
        "environment-role",
        "environment-lookup",
        "results-callback",
        "group-filter",
    )
    assert all(f"{{: #{name} }}" in plugins for name in names)
    assert "`script`: str\n:   " in plugins


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("C(a_b) and O(grace) of P(x.y.z#lookup)", "`a_b` and `grace` of `x.y.z`"),
        ("a_b *c* <d> HOST(x)", r"a\_b \*c\* &lt;d&gt; HOST(x)"),
        ("L(words, https://example.invalid/a)", "[words](https://example.invalid/a)"),
    ],
)
def test_markup_of_ansible_becomes_markdown(text, markdown):
    assert collection.markdown(text) == markdown
