"""`ansible-test sanity` of the collection, without containers; part of `make lint`.

ansible-test wants the collection below `ansible_collections`, and makes virtual environments for some of its tests,
with what it takes from a package index. They are kept beside this interpreter, so that this is done once. Where there
is no index in reach, the tests that need them are left out, and that is said.

What is not run:
- `compile` and `import` on other Pythons than this one: our plugins run on the controller, by the same Python as the
  library (targets need none). `make test-all` has the others.
- `shellcheck` and `pslint` have no files here: the shell code is the library's.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "ansible_env/content/ansible_collections/ansible_env/bench"
HOME = Path(sys.prefix) / "ansible-test"
INSTALL = ("ansible-doc", "import", "pep8", "pylint", "runtime-metadata", "validate-modules", "yamllint")
"""Those of its tests that need virtual environments of their own."""

# ansible-test makes environments without pip, and would fetch a program that installs it. Python has one with it.
GET_PIP = """
import ensurepip, os, runpy, sys
before = dict(os.environ)  # ensurepip turns the user's configuration off
ensurepip.bootstrap()
os.environ.clear()
os.environ.update(before)
for name in [name for name in sys.modules if name.partition(".")[0] == "pip"]:
    del sys.modules[name]
sys.argv[1:] = ["install", *(word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip.__main__", run_name="__main__", alter_sys=True)
"""


def write_home() -> None:
    """Give ansible-test a home of its own: its caches, and what pip is told elsewhere."""
    import ansible_test

    cache = HOME / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    text = (Path(ansible_test.__file__).parent / "_internal/python_requirements.py").read_text(encoding="utf-8")
    for version in re.findall(r"\bpip='([\d.]+)'", text):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP)
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    config = configparser.RawConfigParser()
    for line in said.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        section = "global" if section == ":env:" else section  # ansible-test passes no variables on
        if not config.has_section(section):
            config.add_section(section)
        config.set(section, key, str(ast.literal_eval(value)))
    (HOME / ".config/pip").mkdir(parents=True, exist_ok=True)
    with (HOME / ".config/pip/pip.conf").open("w") as file:
        config.write(file)


def ansible_test(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `ansible-test sanity` in a directory."""
    programs = Path(sys.executable).parent
    env = {**os.environ, "HOME": str(HOME), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [programs / "ansible-test", "sanity", "--python", python, "--color", "no", *arguments]
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def main() -> int:
    """Run it; show what was said if it found something."""
    write_home()
    with tempfile.TemporaryDirectory(prefix="ansible-env-sanity-") as scratch:
        copy = Path(scratch) / "ansible_collections/ansible_env/bench"
        shutil.copytree(COLLECTION, copy, ignore=shutil.ignore_patterns("__pycache__"))
        left_out: list[str] = []
        if (primed := ansible_test(copy, "--prime-venvs")).returncode:
            print(f"ansible-test: no package index in reach, so without {', '.join(INSTALL)}", file=sys.stderr)
            print(primed.stderr[-500:], file=sys.stderr)
            left_out = [word for name in INSTALL for word in ("--skip-test", name)]
        done = ansible_test(copy, *left_out)
    count = len(re.findall(r'^Running sanity test "', done.stdout + done.stderr, re.MULTILINE))
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    print(f"ansible-test sanity: {count} tests {'with findings' if done.returncode else 'without a finding'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
