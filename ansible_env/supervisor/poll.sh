# The second part of the supervisor: `poll`, and what is called when it is started. The first is supervisor.sh.
# shellcheck shell=sh

has_news() { sizes; [ "$no" -gt "$out" ] || [ "$ne" -gt "$err" ]; }

supervised() { # whether `run` is there; s: its pid
  { read -r s <sup && kill -0 "$s"; } 2>/dev/null || return 1
  { read -r stat <"/proc/$s/stat"; } 2>/dev/null || return 0
  case ${stat##*) } in Z* | X*) return 1 ;; esac # that nobody has reaped
}

boot_id() { # b: which boot of the host this is
  b=-
  [ -r /proc/sys/kernel/random/boot_id ] && read -r b </proc/sys/kernel/random/boot_id
}

sleep_until_news() { # SECONDS at the most; status 3 if Perl checked for them, which takes no process for each check
  if [ "$1" -gt "$tick" ]; then
    # shellcheck disable=SC2016
    exec perl -e '
      my ($left, $tick, $out, $err, $run) = @ARGV;
      for (; $left > 0; $left -= $tick) {
        select undef, undef, undef, $tick < $left ? $tick : $left;
        last if -s "result" || !kill 0, $run;
        last if -e "unended" && ((-s "out" || 0) > $out || (-s "err" || 0) > $err);
        last if open(my $stat, "<", "/proc/$run/stat") && <$stat> =~ /.*\) [ZX]/;
      }
      exit 3' "$1" "$tick" "$out" "$err" "$s"
  fi
  exec sleep "$1"
}

wait_for_news() { # until the end of the script (it wakes us), new output (checked each $tick s), or $wait s
  trap ':' USR1
  check=1 # once in any case, unless the end is near: what was printed since the last reply may be older than w.PID
  slow=0 s=0
  supervised || return 0
  [ -z "${PERL5OPT-}${PERL_UNICODE-}" ] && command -v perl >/dev/null 2>&1 || slow=1
  true >"w.$$"
  while [ ! -s result ] && [ "$i" -lt "$wait" ]; do
    step=$tick
    [ "$slow" = 1 ] || [ ! -e unended ] || step=$((wait - i))
    sleep_until_news "$step" </dev/null >/dev/null 2>&1 &
    wait "$!"
    r=$?
    kill "$!" 2>/dev/null
    [ -s result ] && break
    if [ "$step" -gt "$tick" ]; then
      check=1
      [ "$r" = 3 ] || { slow=1; continue; }
    fi
    supervised || break
    i=$((i + step))
    [ -e unended ] || check=0
    if [ "$check" = 1 ] || ! [ out -ot "w.$$" ] || ! [ err -ot "w.$$" ]; then
      check=0
      true >"w.$$"
      has_news && break
    fi
  done
  [ ! -s result ] || [ "$drop" = 0 ] || return 0 # removed with all else
  rm -f "w.$$"
} 2>/dev/null

chunk() { # chunk FILE OFFSET BYTES
  if [ "$3" -eq 0 ]; then return; fi
  if [ "$2" -eq 0 ]; then head -c "$3" "$1"; else tail -c "+$(($2 + 1))" "$1" | head -c "$3"; fi
}

poll() {
  nonce=$1 out=$2 err=$3 wait=$4 tick=$5 max=$6 drop=$7 i=0
  state=running rc='' sig=0 why='' begin='' end='' begin_up='' end_up='' left='' more=0 no='' ne=''
  escaped='' before='' after=''
  boot_id
  now_boot=$b
  if [ "$wait" -gt 0 ] && [ "$boot" = "$now_boot" ]; then wait_for_news; fi
  [ -s begin ] && read -r begin <begin
  gone=0
  [ -s result ] || supervised || gone=1 # before the next check: `run` writes the result before it ends
  if [ -s result ]; then
    no='' ne=''
    . ./result
    state=done
  elif [ "$boot" != "$now_boot" ] || [ "$gone" = 1 ]; then
    state=lost
    reason
    if [ "$boot" = "$now_boot" ]; then
      end_session
      end_helpers
    fi
    [ -e left ] && read -r left <left
    [ -e conf ] || state=gone # somebody has removed the directory: nobody knows what still runs
  fi
  if [ "$state" != done ] || [ -z "$no" ]; then sizes; fi
  [ "$((no -= out))" -ge 0 ] || no=0 # a script may truncate its stdout
  [ "$((ne -= err))" -ge 0 ] || ne=0
  if [ "$ne" -gt "$max" ]; then ne=$max more=1; fi
  if [ "$no" -gt "$max" ]; then no=$max more=1; fi
  pids=
  for p in $left; do [ ! -d "/proc/$p" ] || pids=$pids,$p; done
  # This reply may never arrive, and a reader who finds no directory starts the script again. So remove it now only
  # after a short script, which left hardly any time for a connection to break. Else the reader asks for it.
  if [ "$state" != done ] || [ "$more" = 1 ] || flag keep || [ "$i" -gt 1 ]; then drop=0; fi
  names=
  for p in $escaped; do names=$names,$p; done
  printf 'ansible_env:%s state=%s rc=%s sig=%s why=%s begin=%s end=%s begin_up=%s end_up=%s boot=%s ' \
    "$nonce" "$state" "$rc" "$sig" "$why" "$begin" "$end" "$begin_up" "$end_up" "$now_boot" &&
    printf 'left=%s escaped=%s before=%s after=%s ' "$pids" "$names" "$before" "$after" &&
    printf 'more=%s drop=%s out=%s err=%s\n' "$more" "$drop" "$no" "$ne" &&
    chunk out "$out" "$no" && chunk err "$err" "$ne" && [ "$drop" = 1 ] && drop
  return 0
}

drop() { # again, should a poll come at this moment: it makes a file of its own
  { read -r t l <lease && read -r u x <"$l" && [ "$t" = "$u" ]; } 2>/dev/null || l= # given back with the directory
  cd / && { rm -rf -- "$dir" ${l:+"$l"} || rm -rf -- "$dir"; } 2>/dev/null
}

case $1 in
run) run ;;
stop) stop "$2" ;; # survives the connection it came by
watch) watch "$2" ;;
poll)
  shift
  poll "$@"
  ;;
end) end_session ;;
sample) sample ;;
sweep) sweep ;;
esac
