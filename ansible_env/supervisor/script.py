"""The payloads that a target's `/bin/sh` reads from its stdin.

Each payload is one `{ …; }` group. A shell that receives only a part of it, because the connection broke, runs none of
it. No argument list contains a secret: values arrive on stdin and are in a 0600 file until the script has read them.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from ansible_env.supervisor.lease import Lease, take
from ansible_env.supervisor.telemetry import Probe, sampler


def _program(name: str) -> str:
    """Return a program without comments and indentation: some shells read from a pipe byte by byte."""
    return re.sub(r"^(\s*#.*\n|\s+)|[ \t]+# .*$", "", files(__package__).joinpath(name).read_text("utf-8"), flags=re.M)


SUPERVISOR = _program("supervisor.sh") + _program("poll.sh")
FAST_SUPERVISOR = _program("supervisor.pl")
MARKER = "ANSIBLE_ENV_RUN_ID"
"""Environment variable that marks every process of a script."""
RETENTION = 24 * 3600
"""Seconds after its deadline for which a run directory is kept for `attach`; later runs remove it after that."""
CHUNK = 4 * 1024 * 1024
"""Largest number of bytes of a stream in one reply: the time of Ansible's ssh plugin is quadratic in it."""

_FIRST = f"_{string.ascii_letters}{string.digits}%+,-./:=@^~"

_ARGUMENT = 16 * 1024
"""Characters; each may be four bytes, and a quote becomes four."""

_SETSID = "perl -MPOSIX -e POSIX::setsid();exec@ARGV --"
_DETACH = "perl -MPOSIX -e fork&&exit;POSIX::setsid();exec@ARGV --"
"""Does what `setsid setsid` does: a session leader forks. `&` is no replacement: its process would ignore SIGINT."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script to be run on a target."""

    text: str = field(repr=False)
    run_id: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    shell: str = "bash"
    timeout: float | None = None
    """Seconds until the target ends the script; None for no deadline."""
    grace: float = 5
    """Seconds between SIGTERM and SIGKILL."""
    reap: bool = True
    """Whether to end what the script leaves running in its session."""
    hold: int = 0
    """Longest wait for its release, in seconds; 0 to start at once."""
    chdir: str | None = None
    """Directory to start in; the user's home otherwise, as over ssh."""
    unset: Sequence[str] = ()
    """Variables of the controller that a script must not inherit over the `local` connection."""
    probes: Sequence[Probe] = ()
    """What is sampled while the script runs."""
    lease: Lease | None = None
    """The lease of the trial on the target."""
    base: str = "/tmp"  # noqa: S108 - the directory made in it has a random name and mode 0700

    @property
    def directory(self) -> str:
        """The run directory on the target."""
        return run_directory(self.base, self.run_id)


def run_directory(base: str, run_id: str) -> str:
    """Return the directory of a run on its target."""
    return f"{base.rstrip('/')}/ansible_env.{run_id}"


def run_id(key: str, step: int | str, host: str) -> str:
    """Return a name that cannot be guessed, and that another controller with the same key can compute."""
    return hashlib.sha256(f"{key}/{step}/{host}".encode()).hexdigest()[:32]


def start_payload(script: Script, nonce: str, *, wait: int, tick: int, chunk: int = CHUNK, drop: bool = True) -> str:
    """Return the payload that starts a script and waits up to `wait` seconds for it.

    It may be sent twice: the second one finds the run directory and only waits. Without `drop`, the run directory stays
    even if the script ends within the wait.
    """
    mark = f"ansible_env_{nonce}"
    exports = _exports(script)
    samples = sampler(script.probes, exports=exports, shell=script.shell, mark=script.run_id)
    poll = f"poll {nonce} 0 0 {wait} {tick} {chunk} {int(drop)}"
    return _START.format(
        lease=take(script.lease) if script.lease is not None else "",
        reserve=_RESERVE,
        nonce=nonce,
        dir=shlex.quote(script.directory),
        conf=_quote(_conf(script)),
        shell=shlex.quote(script.shell),
        setsid=shlex.quote(_SETSID),
        detach=shlex.quote(_DETACH),
        supervisor=_write(SUPERVISOR, "supervisor", f"{mark}_s"),
        go=_write(_go(script), "go", f"{mark}_g"),
        env=_write(exports, "env", f"{mark}_e"),
        script=_write(script.text, "script", f"{mark}_t"),
        fast=_fast(script, nonce, poll, wait=wait, tick=tick, chunk=chunk, drop=drop),
        # `keep`, since the samples have to be fetched before the directory is removed.
        sampler=_write(samples, "sampler", f"{mark}_m") + ' echo 1 >"$d/keep" &&' if script.probes else "",
        poll=poll,
        # Here, and not just before the script: by these variables the supervisor, too, would be taken for a part of the
        # controller's own run, and ended with it.
        unset=_unset(script),
    )


def poll_payload(directory: str, nonce: str, *, out: int, err: int, wait: int, tick: int, chunk: int = CHUNK) -> str:
    """Return the payload that waits up to `wait` seconds for news and fetches output from the given offsets."""
    return _guarded(directory, nonce, f'exec /bin/sh "$d/supervisor" poll {nonce} {out} {err} {wait} {tick} {chunk} 0')


def stop_payload(directory: str, nonce: str, reason: str, *, out: int, err: int, wait: int) -> str:
    """Return the payload that ends a script for a reason and waits up to `wait` seconds for its result."""
    stop = f'"$d/supervisor" stop {shlex.quote(reason)} </dev/null >/dev/null 2>&1 &'
    return _guarded(
        directory,
        nonce,
        f'{_FIND_SETSID}\n$s /bin/sh {stop}\nexec /bin/sh "$d/supervisor" poll {nonce} {out} {err} {wait} 1 {CHUNK} 0',
        absent=_END_PROCESSES.format(mark=f"{MARKER}={directory.rpartition('.')[2]}", wait=wait, kill=max(1, wait - 3)),
    )


def release_payload(directory: str, nonce: str, at: float) -> str:
    """Return the payload that releases a staged script at a time of the target's clock, in seconds since the epoch."""
    write = f'echo {round(at * 1000)} >"$d/release.new" && mv -f "$d/release.new" "$d/release"'
    say = f"printf 'ansible_env:{nonce} state=%s\\n'"
    return _guarded(directory, nonce, f"if {write}; then {say} running; else {say} nospace; fi")


def clock_payload(nonce: str) -> str:
    """Return the payload that asks for the target's clock."""
    return f"{{\nprintf 'ansible_env:{nonce} state=running clock=%s\\n' \"$(date +%s.%N)\"\nexit 0\n}}\n"


def drop_payload(directory: str, nonce: str) -> str:
    """Return the payload that removes a run directory."""
    # Again, should another one whose connection broke have been at it: one's `keep` is in the other's way.
    lease = '{ read -r t l <"$d/lease" && read -r u x <"$l" && [ "$t" = "$u" ]; } 2>/dev/null || l='
    remove = f'{lease}\ncd / && {{ rm -rf -- "$d" ${{l:+"$l"}} || rm -rf -- "$d"; }}'
    return _guarded(directory, nonce, f"{remove} 2>/dev/null; printf 'ansible_env:{nonce} state=gone\\n'")


def samples_payload(directory: str, nonce: str, *, offset: int, chunk: int = CHUNK) -> str:
    """Return the payload that fetches telemetry from an offset on, as if it were stdout."""
    return _guarded(
        directory,
        nonce,
        f'[ {offset} -gt 0 ] || cat "$d"/samples.* >"$d/samples" 2>/dev/null\n'
        f'n=$(($(wc -c <"$d/samples") - {offset})) m=0\nif [ "$n" -gt {chunk} ]; then n={chunk} m=1; fi\n'
        f'printf \'ansible_env:{nonce} state=done more=%s out=%s\\n\' "$m" "$n"\n'
        f'tail -c +{offset + 1} "$d/samples" | head -c "$n"',
    )


def _guarded(directory: str, nonce: str, action: str, absent: str = "l=") -> str:
    return _FOLLOW.format(nonce=nonce, dir=shlex.quote(directory), action=action, absent=absent)


def _conf(script: Script) -> str:
    return (
        f"dir={shlex.quote(script.directory)}\nmark={MARKER}={script.run_id}\nsh=/bin/sh\ntimeout={_timeout(script)}\n"
        f"grace={math.ceil(script.grace)}\nreap={int(script.reap)}\nhold={script.hold}\n"
        f"life={math.ceil(((script.timeout or 0) + script.grace + RETENTION) / 60)}\n"
    )


def _go(script: Script) -> str:
    """Return the lines that become the script. They leave it no variable of the supervisor."""
    home = 'cd "${HOME:-/}" 2>/dev/null || cd /'
    start = home if script.chdir is None else f"cd {shlex.quote(script.chdir)} || exit 1"
    env = shlex.quote(f"{script.directory}/env")
    return (
        # A process that ends us renames `unended` and then reads `pid`: one of the two sees the other.
        f". ./conf\nprintf '%s\\n' \"$$\" 1<>pid || exit 1\n[ -e unended ] || exit 143\n"
        # From supervisor.pl they are where they belong.
        f'[ "$#" -gt 0 ] || exec >&3 2>&4 3>&- 4>&-\numask "$mask"\n{start}\nunset OLDPWD\n'
        f". {env}\ntrue >{env}\nexec {shlex.quote(script.shell)} {shlex.quote(script.directory + '/script')}\n"
    )


def _fast(script: Script, nonce: str, poll: str, *, wait: int, tick: int, chunk: int, drop: bool) -> str:
    """Return the part of a start payload that uses supervisor.pl if the target has a suitable Perl."""
    conf = f"{_timeout(script)!r} {math.ceil(script.grace)} {int(script.reap)} {script.hold}"
    numbers = f"{conf} {nonce} {wait} {tick} {chunk} {int(drop)}"
    arguments = f'"$d" "$b" {numbers} "$m" {shlex.quote(script.shell)} {shlex.quote(script.chdir or "")}'
    return (
        # The user's own settings may load modules, or change how files are read.
        'if [ -z "${PERL5OPT-}${PERL_UNICODE-}" ] && command -v perl >/dev/null 2>&1; then\n'
        f'{_write(FAST_SUPERVISOR, "supervisor.pl", "")} {_unset(script)}perl "$d/supervisor.pl" {arguments}'
        " </dev/null 2>/dev/null && exit 0\n"
        # It was killed; the script runs nevertheless.
        f'[ ! -e "$d/begun" ] || exec /bin/sh "$d/supervisor" {poll}\nfi'
    )


def _unset(script: Script) -> str:
    return f"unset {' '.join(script.unset)}; " if script.unset else ""


def _timeout(script: Script) -> str:
    return "" if script.timeout is None else f"{script.timeout:.3f}".rstrip("0").rstrip(".")


def _exports(script: Script) -> str:
    values = {MARKER: script.run_id, **script.env}
    return "".join(f"export {name}={_quote(value)}\n" for name, value in values.items())


def _quote(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _first(text: str) -> str:
    """Return the first character for the mark that ends a here-document.

    dash (0.5.12) drops a byte of a line that begins with the mark's first character and one that is not ASCII.
    """
    taken = set(re.findall("^(.)[^\x00-\x7f]", text, re.MULTILINE))
    return next((first for first in _FIRST if first not in taken), _FIRST[0])


def _write(text: str, name: str, mark: str) -> str:
    """Return the command that writes a text, and a final newline if it has none, to a file. Another has to follow.

    Most shells have `printf` built in, which saves a process. For the others, an argument may have 128 KiB (Linux).
    """
    end = "" if text.endswith("\n") or not text else "\n"
    if len(text) < _ARGUMENT:
        return f'printf %s {_quote(text + end)} >"$d/{name}" &&'
    mark = _first(text) + mark
    return f"cat >\"$d/{name}\" <<'{mark}' &&\n{text}{end}{mark}"


_FIND_SETSID = f"""if command -v setsid >/dev/null 2>&1; then s=setsid; else s={shlex.quote(_SETSID)}; fi"""

# Until `sup` is there a run is only being made, and may still fail.
_FOLLOW = """{{
d={dir}
if [ -O "$d" ] && [ ! -L "$d" ] && [ -s "$d/sup" ]; then
echo 1 1<>"$d/keep"
{action}
else
b=-; [ -r /proc/sys/kernel/random/boot_id ] && read -r b </proc/sys/kernel/random/boot_id
u=; [ -r /proc/uptime ] && read -r u x </proc/uptime
{absent}
printf 'ansible_env:{nonce} state=gone boot=%s up=%s left=%s\\n' "$b" "$u" "$l"
fi
exit 0
}}
"""

# A script whose run directory was removed: its processes have its name in their environment.
_END_PROCESSES = """i=0 k=TERM
while
l= q=
if [ ! -e "$d" ] && cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -qxF {mark}; then
for p in /proc/[0-9]*; do
tr '\\0' '\\n' 2>/dev/null <"$p/environ" | grep -qxF {mark} && p=${{p#/proc/}} && l=$l,$p q="$q $p"
done 2>/dev/null
[ ! -e "$d" ] || l= # it was just being started
fi
[ -n "$l" ] && [ "$i" -lt {wait} ]
do
[ "$i" -lt {kill} ] || k=KILL
kill "-$k" $q 2>/dev/null
sleep 1; i=$((i + 1))
done"""

# What has to be recorded later has its room from here on: see supervisor.sh.
_RESERVE = """printf '%04096d' 0 >"$d/room" && printf '%0128d\\n' 0 >"$d/signal" && echo >"$d/pid" &&
echo 0 >"$d/keep" && echo 0 >"$d/stopped" && true >"$d/unended" && true >"$d/out" && true >"$d/err" &&"""

# Two of these may be at work at once, when a connection broke: the run is that one's who makes the directory.
_START = """{{
d={dir} o=0
say() {{ printf 'ansible_env:{nonce} state=%s\\n' "$1"; exit 0; }}
fail() {{
[ "$o" = 0 ] || rm -rf -- "$d"
[ -d "${{d%/*}}/" ] && [ -w "${{d%/*}}/" ] && [ -x "${{d%/*}}/" ] && say nospace
say error
}}
if [ ! -e "$d" ] && [ ! -L "$d" ]; then
command -v {shell} >/dev/null 2>&1 || say noshell
if command -v setsid >/dev/null 2>&1; then s=setsid f='setsid setsid'
elif command -v perl >/dev/null 2>&1; then s={setsid} f={detach}
else say nosetsid; fi
b=-; [ -r /proc/sys/kernel/random/boot_id ] && read -r b </proc/sys/kernel/random/boot_id
if (umask 077; exec mkdir -- "$d"); then o=1; elif [ ! -d "$d" ]; then fail; fi
fi
# What is run out of it has to be ours: anybody may make a directory, or a link, of this name in /tmp.
[ -O "$d" ] && [ ! -L "$d" ] || say error
if [ "$o" = 1 ]; then
{lease}# By way of a file, as $(umask) would be another process.
{{ umask >"$d/mask" && read -r m <"$d/mask" && umask 077 && {reserve}
printf "%smask=%s\\nboot=%s\\nsetsid='%s'\\n" {conf} "$m" "$b" "$s" >"$d/conf" &&
{supervisor}
{go}
{env}
{script}
{sampler}
true; }} || fail
{fast}
p=$({unset}$f /bin/sh "$d/supervisor" run </dev/null 2>/dev/null)
case $p in nospace) fail ;; esac
[ -s "$d/sup" ] || {{ rm -rf -- "$d"; say error; }}
else
i=0; while [ ! -s "$d/sup" ] && [ "$i" -lt 5 ]; do sleep 1; i=$((i + 1)); done
[ -s "$d/sup" ] && echo 1 1<>"$d/keep" || say gone
fi
exec /bin/sh "$d/supervisor" {poll}
}}
"""
