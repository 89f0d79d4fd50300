"""The hook of mkdocs.yml: pages from outside docs/, pages that are generated, and a check of public names.

README.md is the home page. A file outside docs/ that a page links to becomes a page as well, so that a link works both
in the repository and on the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tests.docs import cli, collection, public
from tests.docs.blocks import ROOT

HOME = "README.md"
PROJECT = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
GENERATED: dict[str, Callable[[], str]] = {"commands": cli.page, "collection": collection.page}
"""`<!-- generated: NAME -->` in a page stands for what the function returns."""

_LANGUAGES = {".yml": "yaml", ".yaml": "yaml", ".py": "python", ".jsonc": "json", ".json": "json", ".sh": "bash"}
_CODE = re.compile(r"^(?:```.*?^```|~~~.*?^~~~)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]*)(#[^)\s]*)?(?=\))")
_KEYS = re.compile(
    r"<table>\s*<thead>\s*<tr>\s*<th>K(?:ey</th>\s*<th>Value|ind</th>\s*<th>Status)</th>\s*"
    r"<?(?:th>(Default|Infrastructure)\??</th>)?.*?</table>",
    re.DOTALL,
)
_LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_GENERATED = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the home page, the pages of the project, and each file outside docs/ that a page links to."""
    sources = {f"docs/{file.src_uri}" for file in files if file.is_documentation_page()}
    waiting = [*sources, HOME, *PROJECT]
    seen = set(sources)
    while waiting:
        source = waiting.pop()
        if source not in seen:
            seen.add(source)
            files.append(File.generated(config, _uri(source), content=_content(source)))
        if source.endswith(".md"):
            text = (ROOT / source).read_text(encoding="utf-8")
            waiting += [target for target in _targets(source, text) if target not in seen]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put generated text in its place, and let links out of docs/ lead to the pages that were added."""
    markdown = _GENERATED.sub(lambda match: GENERATED[match[1]](), markdown)
    return rewritten(_source(page.file), markdown)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mark the tables of keys and of outcome kinds, which docs/assets/extra.css shows as lists on a phone."""
    return _KEYS.sub(lambda match: f'<div class="keys with-{str(match[1]).lower()}">{match[0]}</div>', content)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that loads something from elsewhere."""
    loaded = _LOADED.search(output)
    if loaded:
        raise PluginError(f"{page.file.src_uri}: is not self-contained: {loaded[0]}")
    return output


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a public name that is not in the reference, or has no docstring."""
    faults = public.faults()
    if faults:
        raise PluginError(f"{public.PAGE.relative_to(ROOT)}: public names without documentation:\n" + "\n".join(faults))


def rewritten(source: str, text: str) -> str:
    """Return the text of a file of the repository with links as the site has them."""
    parts = (part if code else _LINK.sub(lambda match: _link(source, match), part) for part, code in _parts(text))
    return "".join(parts)


def _source(file: File) -> str:
    """Return the path in the repository of the file that a page is made of."""
    if file.src_uri == "index.md":
        return HOME
    return f"docs/{file.src_uri}" if file.abs_src_path is not None else file.src_uri


def _uri(source: str) -> str:
    """Return the path in the site's sources for a path in the repository."""
    if source == HOME:
        return "index.md"
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    return source if source.endswith(".md") else f"{source}.md"


def _content(source: str) -> str:
    text = (ROOT / source).read_text(encoding="utf-8")
    if source.endswith(".md"):
        return text
    language = _LANGUAGES.get(PurePosixPath(source).suffix, "text")
    return f"# {source}\n\n~~~~ {language}\n{text}\n~~~~\n"


def _targets(source: str, text: str) -> Iterator[str]:
    for part, code in _parts(text):
        if not code:
            for match in _LINK.finditer(part):
                target = _resolve(source, match[1])
                if target and not target.startswith("docs/"):
                    yield target


def _resolve(source: str, link: str) -> str:
    """Return the file of the repository that a link leads to, or nothing if there is none."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    path = ROOT / target
    if path.is_dir():
        target, path = f"{target}/README.md", path / "README.md"
    return target if path.is_file() and not target.startswith("..") else ""


def _link(source: str, match: re.Match[str]) -> str:
    target = _resolve(source, match[1])
    if not target:
        return match[0]
    here = posixpath.dirname(_uri(source))
    return posixpath.relpath(_uri(target), here or ".") + (match[2] or "")


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into what is code and what is not."""
    end = 0
    for match in _CODE.finditer(text):
        yield text[end : match.start()], False
        yield match[0], True
        end = match.end()
    yield text[end:], False
