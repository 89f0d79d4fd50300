"""Patterns for files on a host, and where the files go."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_env import ConfigError
from ansible_env.results.file_patterns import bundle_path, check_pattern, shell_pattern


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is no name"), (7, "is no name"), ("a/../b", "`..`"), ("..", "`..`"), ("a\nb", "control"),
        ("out/**/x", "`**`"), ("~/x", "`~`"), ("$HOME/x", "`$`"), ("out/", "directory"),
    ],
)  # fmt: skip
def test_a_pattern_that_is_refused(text: object, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault.replace("*", r"\*").replace("$", r"\$").replace("..", r"\.\.")):
        check_pattern(text)


def test_only_wildcards_are_special(tmp_path: Path) -> None:
    for name in ("a1.json", "a2.json", "b c.json", "it's;.txt", "[x].log", "-n"):
        (tmp_path / name).touch()

    def matches(pattern: str) -> list[str]:
        script = f"for f in {shell_pattern(pattern)}; do printf '%s\\n' \"$f\"; done"
        return subprocess.check_output(["sh", "-c", script], cwd=tmp_path, text=True).splitlines()

    assert matches("a[0-1].json") == ["./a1.json"]
    assert matches("?*.json") == ["./a1.json", "./a2.json", "./b c.json"]
    assert matches("it's;.txt") == ["./it's;.txt"]
    assert matches("*`touch pwned`;touch pwned;*") == ["./*`touch pwned`;touch pwned;*"]
    assert matches("[$(touch pwned)]") == ["./[$(touch pwned)]"]
    assert matches("-n") == ["./-n"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("./out/a.json", "out/a.json"), ("/var/log//x", "var/log/x"), ("/../etc/passwd", None), ("..", None),
        ("a/../../b", None), ("/", None), ("a" * 256, None), ("é", "é"), ("a\x1b[1m\n", "a%1B[1m%0A"),
        ("\udcff", "%FF"),
    ],
)  # fmt: skip
def test_no_name_leads_out_of_the_bundle(name: str, path: str | None) -> None:
    assert bundle_path(name) == path
