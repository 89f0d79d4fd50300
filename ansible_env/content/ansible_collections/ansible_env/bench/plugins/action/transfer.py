# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin of ansible_env.bench.transfer: one file over the connection, and /bin/sh on the target."""

from __future__ import annotations

import re
import shlex
import uuid

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ansible_env.bench.plugins.plugin_utils.shell import (
    feed,
    no_answer,
    remove_directory,
    takes_stdin,
)

ARGUMENTS = {
    "path": {"type": "str", "required": True},
    "send": {"type": "str"},
    "fetch": {"type": "str"},
    "archive": {"type": "bool", "default": False},
    "name": {"type": "str", "default": "file"},
    "mode": {"type": "str", "default": "0644"},
    "merge": {"type": "bool", "default": False},
    "recursive": {"type": "bool", "default": True},
}

# Relative paths are relative to the home directory, as for scp. `p` never begins with a dash.
PATH = """\
cd "${HOME:-/}" || exit 1
p=%(path)s
case $p in '~') p=. ;; '~/'*) p=${p#'~/'} ;; esac
case $p in /*) ;; *) p=./$p ;; esac
fail() { printf 'ansible_env:failed rc=%%s %%s\\n' "$1" "$2"; exit 1; }
"""

UPLOAD_FILE = (
    PATH
    + """\
case $p in */) p=$p%(name)s ;; *) [ ! -d "$p" ] || p=$p/%(name)s ;; esac
mkdir -p -- "$(dirname -- "$p")" || fail 20 'the parent directory could not be made'
new=$p.ansible_env-part
%(take)s && chmod -- %(mode)s "$new" && mv -f -- "$new" "$p" || { rm -f -- "$new"; fail 5 'could not be written'; }
printf 'ansible_env:done made=0\\n'
"""
)
UPLOAD_DIRECTORY = (
    PATH
    + """\
command -v tar >/dev/null || fail 38 'the host has no tar'
case $p in */) ;; *) if [ %(merge)s = 0 ] && [ -d "$p" ]; then p=$p/%(name)s; fi ;; esac
made=0
if [ ! -d "$p" ]; then
made=1
mkdir -p -- "$p" && chmod -- %(mode)s "$p" || fail 20 'the directory could not be made'
fi
tar -xpf %(payload)s -C "$p" || fail 5 'tar could not write all of it'
printf 'ansible_env:done made=%%s\\n' "$made"
"""
)
# A copy for another user is in a directory that cannot be listed, under a name that cannot be guessed.
DOWNLOAD = (
    PATH
    + """\
[ -e "$p" ] || fail 2 'there is no such file or directory'
umask %(umask)s
mkdir -m %(access)s -- %(directory)s || fail 13 'no place for a copy'
if [ -d "$p" ]; then
command -v tar >/dev/null || fail 38 'the host has no tar'
cd -- "$p" || fail 13 'not allowed'
if [ %(recursive)s = 1 ]; then tar -cf %(payload)s .
else
find . ! -name . -prune ! -type d >%(payload)s.list && tar -cf %(payload)s -T %(payload)s.list
fi
# 1 is what GNU tar says of a file that is just being written to.
[ "$?" -le 1 ] || fail 5 'tar could not read all of it'
m=$(ls -ld .)
printf 'ansible_env:done archive=1 mode=%%s path=\\n' "${m%%%% *}"
else
[ -r "$p" ] || fail 13 'not allowed'
case $p in /*) ;; *) p=$(pwd)/$p ;; esac
m=$(ls -ldL -- "$p")
if [ %(copy)s = 1 ]; then cat -- "$p" >%(payload)s || fail 5 'could not be read'; p=%(payload)s; fi
printf 'ansible_env:done archive=0 mode=%%s path=%%s\\n' "${m%%%% *}" "$p"
fi
"""
)


class Refused(Exception):
    """The host reports why it cannot be done: the number of an error, as errno.h has it, and a message."""

    def __init__(self, rc, message):
        self.rc = rc
        super().__init__(message)


class ActionModule(ActionBase):
    """Moves one file, or a directory as one file."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(
            ARGUMENTS, mutually_exclusive=[("send", "fetch")], required_one_of=[("send", "fetch")]
        )
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "check mode: nothing was transferred"}
        try:
            done = self._send(arguments) if arguments["send"] else self._fetch(arguments)
        except Refused as refused:
            return {**result, "failed": True, "rc": refused.rc, "msg": str(refused)}
        return {**result, **done}

    def _send(self, arguments):
        directory = self._make_tmp_path()
        payload = self._connection._shell.join_path(directory, "payload")
        try:
            self._connection.put_file(arguments["send"], payload)
            self._fixup_perms2((directory, payload), execute=False)
            quoted = {name: shlex.quote(arguments[name]) for name in ("path", "name", "mode")}
            quoted["payload"] = shlex.quote(payload)
            # A moved file would still belong to the user who logged in.
            take = 'cat -- %(payload)s >"$new"' if self._connection.become else 'mv -f -- %(payload)s "$new"'
            script = UPLOAD_DIRECTORY if arguments["archive"] else UPLOAD_FILE
            answer = self._shell(script % {**quoted, "take": take % quoted, "merge": int(arguments["merge"])})
        finally:
            remove_directory(self, directory)
        return {"changed": True, "made": answer["made"] == "1", "archive": arguments["archive"]}

    def _fetch(self, arguments):
        become = bool(self._connection.become)
        base = f"/tmp/ansible_env.fetch-{uuid.uuid4().hex}"
        payload = f"{base}/{uuid.uuid4().hex}"
        values = {
            "path": shlex.quote(arguments["path"]),
            "umask": "022" if become else "077",
            "access": "0711" if become else "0700",
            "directory": base,
            "payload": payload,
            "recursive": int(arguments["recursive"]),
            "copy": int(become),
        }
        try:
            answer = self._shell(DOWNLOAD % values)
            archive = answer["archive"] == "1"
            self._connection.fetch_file(payload if archive else answer["path"], arguments["fetch"])
        finally:
            self._run(f"rm -rf -- {base}\n")
        return {"changed": False, "archive": archive, "mode": answer["mode"]}

    def _shell(self, script):
        done = self._run(script)
        failed = re.search(r"^ansible_env:failed rc=(\d+) ([^\r\n]*)", done["stdout"], re.MULTILINE)
        if failed:
            text = " ".join((done.get("stderr") or "").split())[:300]
            raise Refused(int(failed[1]), f"{failed[2]} ({text})" if text else failed[2])
        return _answer(done)

    def _run(self, script):
        """Run a script in the host's shell, without a terminal if the connection carries stdin."""
        if takes_stdin(self):
            return feed(self, script)
        return self._low_level_execute_command(script, executable="/bin/sh")


def _answer(done):
    line = re.search(r"^ansible_env:done (.*)", done["stdout"], re.MULTILINE | re.DOTALL)
    if not line:
        raise AnsibleError(no_answer(done))
    match = re.match(
        r"(?:archive=(?P<archive>\d) mode=(?P<mode>\S+) path=(?P<path>.*?)|made=(?P<made>\d))\r?\n?\Z",
        line[1],
        re.DOTALL,
    )
    if not match:
        raise AnsibleError(f"an answer that was not understood: {line[1][:100]!r}")
    answer = match.groupdict()
    if answer["mode"]:
        answer["mode"] = _mode(answer["mode"])
    return answer


def _mode(text):
    """Return the octal mode of a file from the way that ls writes it: POSIX has no other portable way to ask."""
    return f"{sum(1 << (8 - index) for index, bit in enumerate(text[1:10]) if bit not in '-ST'):04o}"
