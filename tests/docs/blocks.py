"""The fenced blocks of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s{2,})#.*$")


@dataclass(frozen=True)
class Block:
    """One block."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block; of a console block those after the prompt."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            return [line[2:] for line in lines if line.startswith("$ ")]
        found = [_COMMENT.sub("", line).strip() for line in lines]
        return [alternative for line in found if line for alternative in _alternatives(line)]

    @property
    def output(self) -> list[str]:
        """The lines that a console block shows, without those that were left out."""
        return [line for line in self.text.splitlines() if not line.startswith("$ ") and line.strip() not in ("", "…")]


def _alternatives(line: str) -> list[str]:
    """`setup|run ENV.yml` stands for two commands, `[TRIAL]` for an argument that may be left out."""
    line = re.sub(r"\s\[[A-Z]+\]", "", line)
    match = re.search(r"(?<=\s)\w+(?:\|\w+)+(?=\s)", line)
    if match is None:
        return [line]
    return [line[: match.start()] + word + line[match.end() :] for word in match[0].split("|")]


def blocks() -> list[Block]:
    """All of them, in all pages for people."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
    files += [*sorted((ROOT / "examples").rglob("*.md")), *sorted((ROOT / "inventories").rglob("*.md"))]
    found = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(str(path.relative_to(ROOT)), line, match[1], match[2]))
    return found
