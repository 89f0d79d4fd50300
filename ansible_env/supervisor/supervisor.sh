# The supervisor that ansible_env leaves on a target for the length of one script. POSIX sh, no Python.
#
#   run                       run the script, detached, and write down how it went   (one, in its own session)
#   poll NONCE OUT ERR WAIT TICK BYTES DROP   wait for news, print them             (one per round trip)
#   stop REASON               end the script's session: TERM, grace, KILL           (watchdog, or a cancel)
#
# Where the target has a Perl, supervisor.pl does what `run` and a first `poll` do.
#
# Files in the run directory: conf (settings), mask (the login's umask), env, script, go (which becomes the script), sup
# (pid of `run`), pid (the script's session), out, err (what it printed), why (timeout or canceled; empty where the
# script ended by itself), left (pids that would not end), result (how it ended), w.PID (a waiter), keep (somebody else
# reads: do not drop), sampler and samples.N (telemetry), begun (by supervisor.pl).

set -u
cd "${0%/*}" || exit 97
. ./conf

now() { # t: seconds since the epoch; with a fraction where `date` knows one
  t=$(date +%s.%N)
  case $t in '' | *[!0-9.]*) t=$(date +%s) ;; esac
}

nap() { # and count tenths of a second in i; not every sleep knows fractions
  if sleep 0.1 2>/dev/null; then i=$((i + 1)); else sleep 1; i=$((i + 10)); fi
}

members() { # members SESSION [FROM]: pids of its live processes, from a pid on; a child may leave its group, not its session
  c= n=0
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
  for m in $(members "$2"); do kill "-$1" "$m" 2>/dev/null; done
}

alive() { [ -n "$(members "$1" "${2:-0}")" ]; } # `kill -0` would see zombies that a container's pid 1 never reaps

end_session() {
  [ -s pid ] || return 0
  read -r sid <pid
  signal TERM "$sid"
  signal CONT "$sid"
  i=0 over=$(($(date +%s) + grace)) # by the clock too: with many processes on a loaded host, a look takes long
  while alive "$sid" && [ "$i" -lt "$((grace * 10))" ] && [ "$(date +%s)" -le "$over" ]; do nap; done
  i=0
  while alive "$sid" && [ "$i" -lt 20 ]; do signal KILL "$sid"; nap; done
  left=$(members "$sid")
  [ -z "$left" ] || printf '%s\n' "$left" >left
}

end_helpers() { # the watchdog and its sleep, where somebody has killed `run`; its session may be another's by now
  read -r s <sup || return 0
  for m in $(members "$s"); do
    x=
    read -r x <"/proc/$m/cmdline"
    case $x in *"$dir/supervisor"*) kill -TERM "-$s" ;; esac
  done 2>/dev/null
}

stop() { # the first reason given is the one that counts
  [ -s result ] && return 0
  (set -C; printf '%s\n' "$1" >why) 2>/dev/null
  i=0
  while [ ! -s pid ] && [ ! -s result ] && [ "$i" -lt 20 ]; do nap; done
  end_session
  : >stopped
}

watch() {
  sleep "$timeout" 2>/dev/null || sleep "$((${timeout%.*} + 1))" # not every sleep knows fractions
  stop timeout
}

sample() { . ./sampler; } # telemetry; in this process group, and ended with it

collect() { # to a file by way of a pipe: a script that opens /dev/stdout anew would truncate a file
  (
    trap '' HUP INT QUIT TERM # whoever lives on with the pipe in hand must not lose its reader
    exec cat <&"$2" >>"$1" 3>&- 4>&- 5<&- 6<&-
  ) 2>/dev/null &
}

read_up() { # whether these children have ended, as they do at once if nobody else has the pipes
  for c in "$@"; do
    i=0
    while :; do
      { read -r stat <"/proc/$c/stat"; } 2>/dev/null || return 1
      case ${stat##*) } in Z* | X*) break ;; esac
      [ "$((i += 1))" -lt 100 ] || return 1
    done
  done
}

milliseconds() { # of `now`, whose fraction may be missing
  f=${t#*.}000
  [ "$f" != "${t}000" ] || f=000
  ms=$((${t%.*} * 1000 + 1${f%"${f#???}"} - 1000))
}

await() { # until everybody may start; whoever staged this may be gone
  i=0
  while [ ! -s release ] && [ ! -e why ] && [ "$i" -lt "$((hold * 10))" ]; do nap; done
  if [ ! -s release ]; then
    (set -C; echo canceled >why) 2>/dev/null
    : >stopped
    return 0
  fi
  read -r at <release
  now
  milliseconds
  left=$((at - ms))
  [ "$left" -gt 0 ] || return 0
  sleep "$((left / 1000)).$(printf %03d "$((left % 1000))")" 2>/dev/null || sleep "$((left / 1000))"
}

run() {
  echo "$$" # for whoever started us; see script.py
  exec >/dev/null
  trap ':' HUP INT QUIT USR1
  if [ "$hold" -gt 0 ]; then await; fi
  if [ -n "$timeout" ]; then watch </dev/null >/dev/null 2>&1 & fi
  if [ -s sampler ]; then sample </dev/null >/dev/null 2>&1 & fi
  now
  begin=$t
  printf '%s\n' "$begin" >begin
  printf '%04096d' 0 >room # given up for the result, should the script's output fill the disk
  c1='' c2=''
  # What may run on needs no reader: a file it is.
  if [ "$reap" = 1 ] && mkfifo out.p err.p 2>/dev/null; then
    # Opened for both first: an end that waits for the other to be opened could wait for ever. Not for the script,
    # though: who holds the reading end, too, blocks instead of failing when the collector has failed.
    exec 3<>out.p 4<>err.p 5<out.p 6<err.p 3>out.p 4>err.p
    collect out 5 && c1=$!
    collect err 6 && c2=$!
    exec 5<&- 6<&-
  else
    exec 3>>out 4>>err
  fi
  # The shell says on its own stderr that a child was ended by a signal: 137 alone might be `exit 137`.
  exec 2>signal
  # shellcheck disable=SC2086
  $setsid "$sh" ./go </dev/null >/dev/null
  rc=$?
  now
  end=$t
  exec 2>/dev/null 3>&- 4>&-
  # It ended by itself, unless there is a reason already: one that comes now is too late.
  if ! (set -C; : >why) && [ -s why ]; then
    i=0
    while [ ! -e stopped ] && [ "$i" -lt "$((grace * 10 + 30))" ]; do nap; done
    now
    end=$t
  elif [ "$reap" = 1 ] && [ -s pid ]; then
    read -r sid <pid
    # After a short script its pid is the lowest of the session; a full look at /proc costs some ms.
    from=$sid
    [ "$((${end%.*} - ${begin%.*}))" -lt 5 ] || from=0
    if alive "$sid" "$from"; then end_session; fi
  fi
  lost=0
  if [ -n "$c1" ]; then # all has been read when nobody has the pipes any more, or else after 2 s
    read_up "$c1" "$c2" || (sleep 2; kill -USR1 "$$") &
    for c in "$c1" "$c2"; do
      wait "$c"
      r=$?
      [ "$r" -le 128 ] || ! kill -0 "$c" || break
      [ "$r" -eq 0 ] || lost=1
    done
  fi
  trap '' TERM
  kill -TERM 0 # the watchdog and its sleep: all there is in this process group
  sig=0
  [ -s signal ] && sig=1
  why=
  [ -e why ] && read -r why <why
  [ "$lost" = 0 ] || why=output
  left=
  [ -e left ] && read -r left <left
  : >room
  # One write of less than a page: whoever finds the file not empty finds all of it.
  printf 'rc=%s\nsig=%s\nwhy=%s\nbegin=%s\nend=%s\nleft="%.3500s"\n' \
    "$rc" "$sig" "$why" "$begin" "$end" "$left" >result
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

fresh() { sizes; [ "$no" -gt "$out" ] || [ "$ne" -gt "$err" ]; }

running() {
  [ -s sup ] || return 0
  { read -r s <sup && kill -0 "$s"; } 2>/dev/null || return 1
  { read -r stat <"/proc/$s/stat"; } 2>/dev/null || return 0
  case ${stat##*) } in Z* | X*) return 1 ;; esac # that nobody has reaped
}

boot_id() { # b: which boot of the host this is
  b=-
  [ -r /proc/sys/kernel/random/boot_id ] && read -r b </proc/sys/kernel/random/boot_id
}

doze() { # doze SECONDS: until there may be news; 3 where a Perl looked for them, which takes no process for each look
  if [ "$1" -gt "$tick" ]; then
    # shellcheck disable=SC2016
    exec perl -e '
      my ($left, $tick, $out, $err, $run) = @ARGV;
      for (; $left > 0; $left -= $tick) {
        select undef, undef, undef, $tick < $left ? $tick : $left;
        last if -s "result" || !kill 0, $run;
        last if !-s "why" && ((-s "out" || 0) > $out || (-s "err" || 0) > $err);
        last if open(my $stat, "<", "/proc/$run/stat") && <$stat> =~ /.*\) [ZX]/;
      }
      exit 3' "$1" "$tick" "$out" "$err" "$s"
  fi
  exec sleep "$1"
}

wait_news() { # until the end of the script (it wakes us), new output (looked for each $tick s), or $wait s
  trap ':' USR1
  look=1 # once in any case, unless the end is near: what was printed since the last answer may be older than w.PID
  slow=0 s=0
  running || return 0
  [ -z "${PERL5OPT-}${PERL_UNICODE-}" ] && command -v perl >/dev/null 2>&1 || slow=1
  : >"w.$$"
  while [ ! -s result ] && [ "$i" -lt "$wait" ]; do
    step=$tick
    [ "$slow" = 1 ] || [ -s why ] || step=$((wait - i))
    doze "$step" </dev/null >/dev/null 2>&1 &
    wait "$!"
    r=$?
    kill "$!" 2>/dev/null
    [ -s result ] && break
    if [ "$step" -gt "$tick" ]; then
      look=1
      [ "$r" = 3 ] || { slow=1; continue; }
    fi
    running || break
    i=$((i + step))
    [ ! -s why ] || look=0
    if [ "$look" = 1 ] || ! [ out -ot "w.$$" ] || ! [ err -ot "w.$$" ]; then
      look=0
      : >"w.$$"
      fresh && break
    fi
  done
  [ ! -s result ] || [ "$drop" = 0 ] || return 0 # removed with all else
  rm -f "w.$$"
}

chunk() { # chunk FILE OFFSET BYTES
  if [ "$3" -eq 0 ]; then return; fi
  if [ "$2" -eq 0 ]; then head -c "$3" "$1"; else tail -c "+$(($2 + 1))" "$1" | head -c "$3"; fi
}

poll() {
  nonce=$1 out=$2 err=$3 wait=$4 tick=$5 max=$6 drop=$7 i=0
  state=running rc='' sig=0 why='' begin='' end='' left='' more=0
  boot_id
  now_boot=$b
  if [ "$wait" -gt 0 ] && [ "$boot" = "$now_boot" ]; then wait_news; fi
  [ -s begin ] && read -r begin <begin
  gone=0
  [ -s result ] || running || gone=1 # before the next look: whoever ends writes the result first
  if [ -s result ]; then
    . ./result
    state=done
  elif [ "$boot" != "$now_boot" ] || [ "$gone" = 1 ]; then
    state=lost
    [ -e why ] && read -r why <why
    if [ "$boot" = "$now_boot" ]; then
      end_session
      end_helpers
    fi
    [ -e left ] && read -r left <left
  fi
  sizes
  [ "$((no -= out))" -ge 0 ] || no=0 # a kept process's own doing: it may truncate its stdout
  [ "$((ne -= err))" -ge 0 ] || ne=0
  if [ "$ne" -gt "$max" ]; then ne=$max more=1; fi
  if [ "$no" -gt "$max" ]; then no=$max more=1; fi
  pids=
  for p in $left; do pids=$pids,$p; done
  # What is written here may never arrive, and who finds no directory starts the script anew. So drop it now only
  # after a short script, where there was hardly time for a connection to break; else let the reader ask for it.
  if [ "$state" != done ] || [ "$more" = 1 ] || [ -e keep ] || [ "$i" -gt 1 ]; then drop=0; fi
  printf 'ansible_env:%s state=%s rc=%s sig=%s why=%s begin=%s end=%s boot=%s left=%s more=%s drop=%s out=%s err=%s\n' \
    "$nonce" "$state" "$rc" "$sig" "$why" "$begin" "$end" "$now_boot" \
    "$pids" "$more" "$drop" "$no" "$ne" &&
    chunk out "$out" "$no" && chunk err "$err" "$ne" && [ "$drop" = 1 ] && drop
  return 0
}

drop() { # again, should a poll come at this moment: it makes `keep`
  cd / && { rm -rf -- "$dir" || rm -rf -- "$dir"; } 2>/dev/null
}

case $1 in
run) run ;;
stop)
  stop "$2" # survives the connection it came by
  ;;
poll)
  shift
  poll "$@"
  ;;
end) end_session ;; # and sweep: for supervisor.pl
sweep) sweep ;;
esac
