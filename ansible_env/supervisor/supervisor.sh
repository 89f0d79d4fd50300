# The supervisor that ansible_env leaves on a target for the length of one script. POSIX sh, no Python.
#
#   run                       run the script, detached, and record how it ended   (one, in its own session)
#   poll NONCE OUT ERR WAIT TICK BYTES DROP   wait for news, print them           (one per round trip)
#   stop REASON               end the script's session: TERM, grace, KILL         (watchdog, or a cancel)
#   watch SECONDS             be the watchdog                                     (for supervisor.pl)
#   end, sample, sweep        one part of `run`                                   (for supervisor.pl)
#
# This file has `run` and `stop`; poll.sh, which is appended to it, has `poll` and calls what was asked for. Where the
# target has a Perl, supervisor.pl does what `run` and a first `poll` do.
#
# Files in the run directory: conf (settings), mask (the login's umask), env, script, go (which becomes the script), sup
# (pid of `run`), pid (the script's session), begin, out, err (what it printed), unended (nobody ends the script yet),
# ended (it ended by itself), why.REASON (it is being ended), stopped (that is done), left (pids that would not end),
# result (how it ended), w.PID (a waiter), keep (somebody else reads: do not drop), sampler and samples.N (telemetry),
# begun (by supervisor.pl), out.p and err.p (pipes), signal (the shell's message about one), room (for the result).
#
# The disk may be full at any time. What has to be recorded then has its room from the start: a file is renamed, or
# written over in place (`1<>FILE`). `true >FILE` makes a file: where that fails for `: >FILE`, dash exits.

set -u
cd "${0%/*}" || exit 97
. ./conf

uptime() { # u: seconds since the host was started, with two decimals; nothing where that is not known
  u=
  [ ! -r /proc/uptime ] || read -r u x </proc/uptime
}

now() { # t: seconds since the epoch, with a fraction where `date` knows one; and u
  t=$(date +%s.%N)
  case $t in '' | *[!0-9.]*) t=$(date +%s) ;; esac
  uptime
}

milliseconds() { # milliseconds TIME: ms, of seconds with or without decimals
  f=${1#*.}000
  [ "$f" != "${1}000" ] || f=000
  ms=$((${1%.*} * 1000 + 1${f%"${f#???}"} - 1000))
}

seconds() { # s: by a clock that nobody sets, where there is one
  uptime
  s=${u%.*}
  [ -n "$s" ] || s=$(date +%s)
}

pause() { # and count tenths of a second in i; not every sleep knows fractions
  if sleep 0.1 2>/dev/null; then i=$((i + 1)); else sleep 1; i=$((i + 10)); fi
}

flag() { # whether a file with 0 in it was set to 1
  x=
  read -r x <"$1"
  [ "$x" = 1 ]
} 2>/dev/null

claim() { # claim ended|why.REASON: the first one counts; of several renames of one file, one succeeds
  mv -f unended "$1"
} 2>/dev/null

reason() { # why: for what reason the script was ended; nothing where it ended by itself
  why=
  for w in why.*; do [ ! -e "$w" ] || why=${w#why.}; done
}

session() { # sid: the script's session, once there is one
  sid=
  { read -r sid <pid; } 2>/dev/null
  [ -n "$sid" ]
}

processes() { # processes SESSION [FROM]: its live ones, from a pid on; a child may leave its group, not its session
  c='' n=0
  for p in /proc/[0-9]*; do
    [ "${p#/proc/}" -ge "${2:-0}" ] || continue
    c="$c $p/stat" n=$((n + 1))
  done
  # Shells read byte by byte, which takes long for many files. For few it is shorter than to start a program.
  # shellcheck disable=SC2086
  [ "$n" -le 5 ] || c=$(grep -lE "\\) [^ZX] [0-9]+ [0-9]+ $1 " $c 2>/dev/null)
  for p in $c; do
    if [ "$n" -le 5 ]; then
      { read -r stat <"$p"; } 2>/dev/null || continue
      stat=${stat##*) }
      case $stat in Z* | X*) continue ;; esac
      stat=${stat#* * * }
      [ "${stat%% *}" = "$1" ] || continue
    fi
    p=${p#/proc/}
    printf ' %s' "${p%/stat}"
  done
}

signal() { # signal NAME SESSION: to the group at once (without `--`, which dash takes for a pid), then to who left it
  kill "-$1" "-$2" 2>/dev/null
  for m in $(processes "$2"); do kill "-$1" "$m" 2>/dev/null; done
}

alive() { [ -n "$(processes "$1" "${2:-0}")" ]; } # `kill -0` would see zombies that a container's pid 1 never reaps

end_session() {
  session || return 0
  signal TERM "$sid"
  signal CONT "$sid"
  seconds
  i=0 over=$((s + grace)) # by a clock, too: with many processes on a loaded host, `alive` takes long
  while alive "$sid" && [ "$i" -lt "$((grace * 10))" ] && seconds && [ "$s" -le "$over" ]; do pause; done
  i=0
  while alive "$sid" && [ "$i" -lt 20 ]; do signal KILL "$sid"; pause; done
  left=$(processes "$sid")
  [ -z "$left" ] || printf '%.2500s\n' "$left" >left
}

escapees() { # f: processes of the script that have left its session, as ` PID`; they have its name in their environment
  f=
  cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -qxF "$mark" || return 0
  for p in /proc/[0-9]*; do
    tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qxF "$mark" || continue
    { read -r stat <"$p/stat"; } 2>/dev/null || continue
    name=${stat#*(} stat=${stat##*) }
    case $stat in [ZX]*) continue ;; esac
    stat=${stat#* * * }
    [ "${stat%% *}" != "$$" ] || continue # telemetry's
    f="$f ${p#/proc/}" names="$names ${p#/proc/}:${name%)*}"
  done
}

end_escapees() { # end_escapees SECONDS: TERM, a grace period, KILL
  names=
  escapees
  case $names in *[!\ a-zA-Z0-9_.:-]*) names=$f ;; esac
  escaped=$names
  [ "$reap" = 1 ] || [ -n "$why" ] || return 0
  i=0 over=$(($1 * 10)) k=TERM
  while [ -n "$f" ] && [ "$i" -le "$((over + 20))" ]; do
    [ "$i" -le "$over" ] || k=KILL
    # shellcheck disable=SC2086
    kill "-$k" $f && kill -CONT $f || break # another user's
    pause
    escapees
  done 2>/dev/null
  left=$left$f
}

count() { # c: what the host and the script have used by now; a dash for what is not known. Perl's has more of it
  uptime
  c=${u:--}
  x=
  { read -r x </proc/stat; } 2>/dev/null
  # shellcheck disable=SC2086
  set -- $x
  if [ "$#" -gt 8 ]; then
    c=$c,$(($2 + $3 + $4)),$(($2 + $3 + $4 + $5 + $6 + $7 + $8 + $9)),$9
  else
    c=$c,-,-,-
  fi
  for p in cpu io memory; do
    x=
    { read -r x </proc/pressure/$p; } 2>/dev/null
    x=${x##*total=}
    c=$c,${x:--}
  done
  c=$c,-,-,-,-,-
  x=
  { read -r x <"/proc/$$/stat"; } 2>/dev/null
  # shellcheck disable=SC2086
  set -- ${x##*) }
  if [ "$#" -gt 14 ]; then c=$c,${14}0000,${15}0000; else c=$c,-,-; fi
  c=$c,-,-,-
}

end_helpers() { # where somebody has killed `run`: the watchdog and its sleep, and collectors that would go on
  read -r s <sup || return 0
  c=
  for m in $(processes "$s"); do
    x=
    [ "/proc/$m/cwd" -ef "$dir" ] && read -r x <"/proc/$m/cmdline" # the session may be another's by now
    case $x in *"$dir/supervisor"*) kill -TERM "-$s" ;; cat*) c="$c $m" ;; esac
  done
  # shellcheck disable=SC2086
  [ -z "$c" ] || { sleep 1; kill -KILL $c; }
} 2>/dev/null

stop() {
  [ ! -s result ] || return 0
  claim "why.$1" || [ ! -e ended ] || return 0
  i=0
  while ! session && [ ! -s result ] && [ "$i" -lt 20 ]; do pause; done
  end_session
  echo 1 1<>stopped
}

watch() {
  sleep "$1" 2>/dev/null || sleep "$((${1%.*} + 1))" # not every sleep knows fractions
  stop timeout
}

sample() { . ./sampler; } # telemetry; in this process group, and ended with it

collect() { # collect FILE DESCRIPTOR: bring what the script prints to a file, or to nowhere
  (
    trap '' HUP INT QUIT TERM # a process that lives on with the pipe must not lose its reader
    exec cat <&"$2" >>"$1" 3>&- 4>&- 5<&- 6<&-
  ) 2>/dev/null &
}

collected() { # collected PID: whether a collector has ended, as it does when nobody has the pipe any more, or read all
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  stat=${stat##*) }
  case $stat in [ZX]*) return 0 ;; S*) ;; *) return 1 ;; esac
  # It sleeps: it waits for more, or for a slow disk. If the kernel does not show which, 0.3 s are taken for the former.
  w=
  { read -r w <"/proc/$1/wchan"; } 2>/dev/null
  case $w in *pipe*) ;; '' | 0) [ "$i" -gt 2 ] ;; *) return 1 ;; esac
}

finish() { # finish PID PIPE: end a collector; what is printed from now on is read by another and discarded
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || stat=') X'
  case ${stat##*) } in
  [ZX]*)
    wait "$1"
    case $? in 0) ;; ? | ?? | 1[012]?) why=${why:-output} ;; *) why=${why:-collector} ;; esac # by a signal: 128 + n
    ;;
  *)
    [ -n "$printed" ] || { sizes && printed="no=$no ne=$ne"; }
    if [ -p "$2" ]; then
      exec 3<>"$2" 5<"$2" 3>&-
      collect /dev/null 5
      exec 5<&-
    fi
    kill -KILL "$1"
    ;;
  esac
}

held_time() { # t, u and ms: now, by the clock as it was when the script was staged, should somebody have set it since
  now
  milliseconds "$t"
  wall=$ms
  [ -n "$staged" ] || return 0
  milliseconds "$u"
  ms=$((ms + staged))
  if [ "$((wall - ms))" -gt 1000 ] || [ "$((wall - ms))" -lt -1000 ]; then
    t=$((ms / 1000)).$(printf %03d "$((ms % 1000))")
  else
    ms=$wall
  fi
}

await_release() { # until all hosts may start; the controller may be gone
  staged=
  now
  if [ -n "$u" ]; then
    milliseconds "$t"
    staged=$ms
    milliseconds "$u"
    staged=$((staged - ms))
  fi
  i=0
  while [ ! -s release ] && [ -e unended ] && [ "$i" -lt "$((hold * 10))" ]; do pause; done
  if [ ! -s release ]; then
    claim why.canceled
    echo 1 1<>stopped
    return 0
  fi
  read -r at <release
  held_time
  ms=$((at - ms))
  [ "$ms" -gt 0 ] && [ "$ms" -le "$((hold * 1000))" ] || return 0
  sleep "$((ms / 1000)).$(printf %03d "$((ms % 1000))")" 2>/dev/null || sleep "$((ms / 1000))"
}

run() {
  echo "$$" >sup || { echo nospace; exit; } # to the shell that started us; see script.py
  exec >/dev/null
  trap ':' HUP INT QUIT USR1
  if [ "$hold" -gt 0 ]; then await_release; fi
  if [ -n "$timeout" ]; then watch "$timeout" </dev/null >/dev/null 2>&1 & fi
  if [ -s sampler ]; then sample </dev/null >/dev/null 2>&1 & fi
  count
  before=$c
  if [ "$hold" -gt 0 ]; then held_time; else now; fi
  begin=$t begin_up=$u
  printf '%s\n' "$begin" >begin
  c1='' c2=''
  # By way of pipes: a script that opens /dev/stdout anew would truncate a file.
  if mkfifo out.p err.p 2>/dev/null; then
    # Opened for both first: an end that waits for the other to be opened could wait for ever. Not for the script,
    # though: who holds the reading end, too, blocks instead of failing when the collector has failed.
    exec 3<>out.p 4<>err.p 5<out.p 6<err.p 3>out.p 4>err.p
    collect out 5 && c1=$!
    collect err 6 && c2=$!
    exec 5<&- 6<&-
  else
    exec 3>>out 4>>err
  fi
  # The shell reports on its own stderr that a signal ended a child: 137 alone might be `exit 137`.
  exec 2<>signal
  # shellcheck disable=SC2086
  $setsid "$sh" ./go </dev/null >/dev/null
  rc=$?
  now
  end=$t end_up=$u
  exec 2>/dev/null 3>&- 4>&-
  # It ended by itself, unless there is a reason already: one that comes now is too late.
  if ! claim ended; then
    i=0
    while ! flag stopped && [ "$i" -lt "$((grace * 10 + 30))" ]; do pause; done
    now
    end=$t end_up=$u
  elif [ "$reap" = 1 ] && session; then
    # After a short script its pid is the lowest of the session; to read all of /proc takes some ms.
    from=0
    if [ -n "$u" ] && [ "$((${end_up%.*} - ${begin_up%.*}))" -lt 5 ]; then from=$sid; fi
    if alive "$sid" "$from"; then
      end_session
      before= # what they have used is not known
    fi
  fi
  count
  after=$c
  [ -n "$before" ] || after=
  reason
  printed=
  trap '' TERM # inherited by what reads on
  if [ -n "$c1" ]; then # what counts is what was printed until now
    i=0 n=0
    while ! { collected "$c1" && collected "$c2"; } && [ "$i" -lt 50 ]; do [ "$((n += 1))" -lt 100 ] || pause; done
    finish "$c1" out.p
    finish "$c2" err.p
  fi
  session || why=unstarted
  kill -TERM 0 # the watchdog and its sleep: all there is in this process group
  sig=0
  read -r x <signal
  case $x in *[!0]*) sig=1 ;; esac
  left='' escaped=''
  [ -e left ] && read -r left <left
  if [ -n "$why" ]; then end_escapees 1; else end_escapees "$grace"; fi
  # One write of less than a page: a file that is not empty is complete. The rest of `room` behind it is a comment.
  text="rc=$rc
sig=$sig
why=$why
begin=$begin
end=$end
begin_up=$begin_up
end_up=$end_up
left='$left'
escaped='$escaped'
before=$before
after=$after
$printed #"
  { printf '%s\n' "$text" >result || { printf %s "$text" 1<>room && mv -f room result; }; } 2>/dev/null
  for w in w.*; do # a waiter may have been killed, and its pid be somebody else's by now
    x=
    read -r x <"/proc/${w#w.}/cmdline"
    case $x in *"$dir/supervisor"*) kill -USR1 "${w#w.}" ;; esac
  done
  sweep
}

sweep() { # run directories of ours whose controllers were killed, a day after their deadlines
  for x in "${dir%/*}"/ansible_env.*; do
    # What is sourced has to be ours: anybody may make a directory of this name in /tmp, or a link.
    [ "$x" != "$dir" ] && [ ! -L "$x" ] && [ -O "$x" ] && [ -O "$x/conf" ] && (
      . "$x/conf"
      read -r s <"$x/sup" && kill -0 "$s" && exit
      [ -z "$(find "$x/conf" -mmin "+$life")" ] || rm -rf -- "$x"
    ) 2>/dev/null
  done
}

sizes() { # no, ne: bytes that there are of stdout and of stderr
  no=0 ne=0
  if [ -s out ] || [ -s err ]; then
    # shellcheck disable=SC2046
    set -- $(wc -c out err)
    no=$1 ne=$3
  fi
}
