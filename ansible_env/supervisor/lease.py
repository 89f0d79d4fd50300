"""Leases: the right of a trial to use a host alone, recorded in files on the host.

A lease is a file `ansible_env.lease.N` beside the run directories, with one line: token, boot id, uptime at which it
expires, owner. The highest N counts. It is taken by making the file N + 1, which succeeds for one of several that try:
in a sticky directory nobody can replace another user's file, so an expired lease is not replaced but exceeded. Its
holder renews it in place. Who renews looks for a higher one after that, and who takes looks at the lower one again, so
that of two which do both at once at least one gives up.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, slots=True)
class Lease:
    """What a trial records on its hosts."""

    token: str
    """The name of the holder, which nobody can guess; other users of the host can read it."""
    seconds: int
    """Seconds until it expires, unless it is renewed."""
    owner: str
    """Controller, user, environment and trial, for other people."""
    release: bool = False
    """Give it back when the run directory is removed."""
    former: tuple[str, ...] = ()
    """Tokens of trials of the same controller that are over."""

    @classmethod
    def of_text(cls, text: str) -> Lease:
        """Read what `to_text` returned."""
        data = json.loads(text)
        return cls(**{**data, "former": tuple(data["former"])})

    def to_text(self) -> str:
        """Return the lease as JSON."""
        return json.dumps(asdict(replace(self, owner=re.sub(r"[^\w@.:/+-]", "_", self.owner, flags=re.ASCII)[:200])))


def take(lease: Lease) -> str:
    """Return the lines of the start payload that take a lease, or answer `busy`. No program is started, usually."""
    owner = shlex.quote(lease.owner)
    own = shlex.quote(" ".join(lease.former))
    record = 'printf \'%s %s\\n\' "$a" "$l" >"$d/lease" || fail\n' if lease.release else ""
    return f"a={shlex.quote(lease.token)} own={own} z={lease.seconds} h={owner}\n{_TAKE}{record}"


def release_payload(base: str, tokens: Iterable[str], nonce: str) -> str:
    """Return what gives leases back."""
    return _RELEASE.format(base=shlex.quote(base.rstrip("/")), tokens=shlex.quote(" ".join(tokens)), nonce=nonce)


# `find` runs only if a lease is empty: it is being made, or its maker was killed then.
_TAKE = r"""umask >"$d/mask" && read -r m <"$d/mask" || fail
umask 022
c=${d%/*}/ansible_env
held() { # whether the lease $l is somebody else's
t= p= e= w=
[ -e "$l" ] || [ -L "$l" ] || return 1
[ -f "$l" ] && [ ! -L "$l" ] && [ -r "$l" ] || return 0
{ read -r t p e w <"$l"; } 2>/dev/null
[ -n "$t" ] || { [ -z "$(find "$l" -mmin +1 2>/dev/null)" ]; return; }
[ "$t" != "$a" ] && [ "$p" = "$b" ] || return 1
case " $own " in *" $t "*) return 1 ;; esac
case $e in '' | *[!0-9]* | ????????????*) e=; return 0 ;; esac
[ "$e" -le "$u" ] || return 0
for q in /proc/[0-9]*/cmdline; do # `grep` of busybox sees nothing behind the first NUL
x=
{ read -r x <"$q"; } 2>/dev/null
case $x in *"$c".*/s*) return 0 ;; esac
done
return 1
}
busy() {
[ -z "$e" ] || e=$((e > u ? e - u : 0))
rm -rf -- "$d"
say "busy until=$e holder=${w%% *}"
}
u=; [ ! -r /proc/uptime ] || read -r u x </proc/uptime
u=${u%%.*}; [ -n "$u" ] || u=$(date +%s)
n=0
for l in "$c".lease.*; do
l=${l##*.}
case $l in 0* | *[!0-9]* | ??????????*) ;; *) [ "$l" -le "$n" ] || n=$l ;; esac
done
l=$c.lease.$n k=$c.lease.$((n + 1)) t=
! held || busy
if [ "$t" = "$a" ] && { printf '%s %s %s %s\n' "$a" "$b" "$((u + z))" "$h" 1<>"$l"; } 2>/dev/null; then
q=$l l=$k
! held || busy
l=$q
else
set -C
{ true >"$k"; } 2>/dev/null && r=0 || r=1
set +C
# Only the one that has made it may remove it: an empty one may be another's, who is about to write.
if [ "$r" = 0 ] && ! { printf '%s %s %s %s\n' "$a" "$b" "$((u + z))" "$h" 1<>"$k"; } 2>/dev/null; then
rm -f -- "$k"; umask "$m"; fail
fi
[ "$r" = 0 ] || { l=$k; ! held || busy; [ "$t" = "$a" ] || busy; }
if [ "$r" = 0 ] && [ "$n" -gt 0 ]; then
if held; then rm -f -- "$k"; busy; fi
rm -f -- "$l" 2>/dev/null
fi
l=$k
fi
umask "$m"
"""

_RELEASE = """{{
for l in {base}/ansible_env.lease.*; do
t=; [ -f "$l" ] && [ ! -L "$l" ] && [ -O "$l" ] && read -r t x <"$l"
[ -n "$t" ] || continue
case ' '{tokens}' ' in *" $t "*) rm -f -- "$l" ;; esac
done 2>/dev/null
printf 'ansible_env:{nonce} state=gone\\n'
exit 0
}}
"""
