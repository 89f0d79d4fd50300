"""Values and script text reach a script byte by byte, under every shell that hosts have as /bin/sh."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_env.supervisor.script import MARKER
from tests.unit.supervisor.pipes import SHELLS, Target, make_target

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NASTY_TEXT = st.text(
    st.sampled_from("'\"\\$`\n\r\t !#&*;<>()[]{}|~%\x01\x7f\x80\x81\x85\x88\x9b\x9f\xa0\u2028é😀"), max_size=40
)
NASTY = (
    "",
    " leading and trailing ",
    "it's",
    "''",
    "'\\''",
    '"double"',
    "$(touch pwned) `touch pwned` $HOME ${HOME}",
    "back\\slash\\n \\",
    "line\nline\n",
    "\n\n\n",
    "\r\n",
    "tab\there",
    "{{ lookup('pipe', 'touch pwned') }} {% raw %} {# no comment #}",
    "-n -e --",
    "; touch pwned #",
    "!history",
    "\x01\x02\x1b[31m\x7f",
    "".join(chr(number) for number in range(0x80, 0xA0)),
    "\u2028\u2029\ufeff",
    "naïve — 漢字 😀",
    "EOF\nansible_env_0\n",
    "x" * 100_000,
)


@pytest.fixture(params=SHELLS, scope="module")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path_factory.mktemp(request.param), tmp_path_factory)


def environment(target: Target, values: dict[str, str]) -> dict[bytes, bytes]:
    """What the environment of a script is, by its own /proc entry."""
    reply = target.run("cat /proc/$$/environ", env=values)
    assert reply.rc == 0, reply.err
    return dict(pair.partition(b"=")[::2] for pair in reply.out.split(b"\0") if pair)


def assert_same(target: Target, values: list[str]) -> None:
    given = {f"V{number}": value for number, value in enumerate(values)}
    seen = environment(target, given)
    for name, value in given.items():
        assert seen[name.encode()] == value.encode(), name


def test_values_that_shells_have_their_ways_with(target: Target) -> None:
    assert_same(target, list(NASTY))
    assert not list(target.base.glob("**/pwned"))


@pytest.mark.slow
# One script with many values rather than many scripts: a process costs more than an example.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(ANY_TEXT | NASTY_TEXT, min_size=5, max_size=25))
def test_any_value(target: Target, values: list[str]) -> None:
    assert_same(target, values)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(ANY_TEXT | NASTY_TEXT, max_size=25).map("\n".join))
def test_any_script(target: Target, text: str) -> None:
    """With a final newline, if it has none."""
    expected = text if text.endswith("\n") or not text else text + "\n"
    assert target.run(text, shell="cat").out == expected.encode()


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_final_newline(target: Target, ending: str) -> None:
    assert target.run(f"echo one\necho two{ending}").out == b"one\ntwo\n"


def test_script_of_a_megabyte(target: Target) -> None:
    text = "x=1\n" + f"# {'x' * 96}\n" * 10_700 + "echo end\n"
    assert len(text) > 1 << 20
    assert target.run(text).out == b"end\n"
    assert target.run(text, shell="cat").out == text.encode()


def test_lines_that_begin_as_the_end_of_a_document_does(target: Target) -> None:
    """Where dash drops a byte: after the first character of a here-document's mark."""
    text = "".join(f"{first}{second}\n" for first in "_aAz09%" for second in "é\x80\u20ac😀")
    assert target.run(text, shell="cat").out.decode() == text
    assert_same(target, [text])


def test_script_with_documents_and_templates(target: Target) -> None:
    text = """cat <<EOF
it's $((1 + 1)) {{ not }} {% a %} {# template #}
EOF
cat <<'END'
chdir=/x creates=/ $HOME ${#x} `no`
END
x=four; echo "${#x}"
printf '%s\\n' 'a\\nb'
"""
    expected = "it's 2 {{ not }} {% a %} {# template #}\nchdir=/x creates=/ $HOME ${#x} `no`\n4\na\\nb\n"
    assert target.run(text).out.decode() == expected


def test_script_with_carriage_returns(target: Target) -> None:
    """They are the script's own affair, as they would be on the host."""
    assert target.run("echo one\r\necho two\r\n").out == b"one\r\ntwo\r\n"


def test_output_byte_by_byte(target: Target) -> None:
    every = "".join(f"\\{number:03o}" for number in range(256))
    reply = target.run(f"printf '  \\n\\n {every}\\r\\n \\n\\n'; printf '\\377\\376' >&2")
    assert reply.out == b"  \n\n " + bytes(range(256)) + b"\r\n \n\n"
    assert reply.err == b"\xff\xfe"


def test_the_environment_is_that_of_a_login(target: Target) -> None:
    """Nothing of ours but the marker."""
    login = Target(target.sh, target.base, target.path, {"LANG": "C.UTF-8"})
    own = dict.fromkeys(("dir", "timeout", "boot", "grace", "d", "s", "i", "sh", "env"), "mine")
    seen = {name.decode(): value.decode() for name, value in environment(login, own).items()}
    for name in ("PWD", "SHLVL", "_"):  # the shell's own
        seen.pop(name, None)
    assert len(seen.pop(MARKER)) == 32
    assert seen == {**own, "LANG": "C.UTF-8", "PATH": target.path, "HOME": str(target.base)}


def test_where_a_script_starts(target: Target) -> None:
    (target.base / "a b'c").mkdir(exist_ok=True)
    assert target.run("pwd").out.decode() == f"{target.base}\n"
    assert target.run("pwd", chdir=f"{target.base}/a b'c").out.decode() == f"{target.base}/a b'c\n"
    reply = target.run("pwd", chdir="/no/such/directory")
    assert (reply.rc, reply.out) == (1, b"")
    assert b"/no/such/directory" in reply.err


@pytest.mark.slow
def test_umask_and_modes(target: Target) -> None:
    # `mask` is what it says: written before the mask is ours, in a directory that nobody else can enter.
    names = 'for f in "${0%/*}"/*; do [ "$f" = "${0%/*}/mask" ] || set -- "$@" "$f"; done'
    show = f'{names}; umask; stat -c %a "${{0%/*}}" "$@"; sleep 1.5'
    script = target.script(show, env={"SECRET": "s3cr3t"})
    old = os.umask(0)
    try:
        reply = target.start(script, wait=1)
    finally:
        os.umask(old)
    modes = reply.out.decode().split()
    assert int(modes[0], 8) == 0  # the script's own is the host's
    assert modes[1] == "700"
    assert set(modes[2:]) <= {"600", "777"}, modes  # 777 is what a link has
    files = [path for path in target.directory(script).iterdir() if path.is_file()]
    assert not any(b"s3cr3t" in path.read_bytes() for path in files)
    target.finish(script, reply)
    target.assert_gone(script)


def test_unset(target: Target) -> None:
    login = Target(target.sh, target.base, target.path, {"ANSIBLE_STRATEGY": "debug", "JOB_ID": "1"})
    reply = login.run('echo "${ANSIBLE_STRATEGY-unset} ${JOB_ID-unset}"', unset=("ANSIBLE_STRATEGY", "JOB_ID"))
    assert reply.out == b"unset unset\n"


@pytest.mark.parametrize("name", ["a b", "ünï", "quote'", "per%cent", "{{ x }}", "x" * 120, "$(touch pwned)"])
def test_a_base_directory_of_any_name(target: Target, name: str) -> None:
    base = target.base / name
    base.mkdir(exist_ok=True)
    script = target.script("echo hello; pwd", base=str(base))
    reply = target.finish(script)
    assert reply.out.startswith(b"hello\n")
    target.assert_gone(script)
    assert list(Path(base).iterdir()) == []
