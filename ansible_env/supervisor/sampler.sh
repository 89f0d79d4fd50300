# What the supervisor sources to take telemetry. The script's own variables are there, too: names of ours begin with ae_,
# but for those in `system`, which runs nothing.

set +u
umask 077
ae_run=$PWD

up() { # ae_u: seconds since the host was started, or of the clock where that is not known
  if [ -r /proc/uptime ]; then read -r ae_u ae_x </proc/uptime; else ae_u=$(date +%s); fi
}

system() { # counters of cpu | memory | disks | network, and the load; no processes
  c='' m='' r=0 w=0 i=0 o=0 l=0
  read -r c </proc/stat
  while read -r k v x; do
    case $k in MemTotal:) m=$v ;; MemAvailable:) m="$m $v" && break ;; esac
  done </proc/meminfo
  while read -r x x k x x v x x x s x; do
    case $k in loop* | ram* | zram* | dm-* | md* | sr* | fd*) continue ;; esac
    [ -e "/sys/block/$k" ] && r=$((r + v)) w=$((w + s))
  done </proc/diskstats
  while IFS=': ' read -r k v x x x x x x x s x; do
    case $k in Inter* | face* | lo | veth* | docker* | br-* | virbr*) continue ;; esac
    i=$((i + v)) o=$((o + s))
  done </proc/net/dev
  read -r l x </proc/loadavg
  ae_out="$c|$m|$r $w|$i $o|$l"
}

probe() { # what a command prints
  ae_out=$("$ae_shell" -c "$1" 2>/dev/null)
}

again() { # again NUMBER SECONDS WHAT...
  ae_number=$1 ae_pause=$2
  shift 2
  while :; do
    up
    "$@" 2>/dev/null && printf '@%s %s %s\n%s\n' "$ae_mark" "$ae_number" "$ae_u" "$ae_out" >>"$ae_run/samples.$ae_number"
    sleep "$ae_pause" 2>/dev/null || sleep 1
  done
}

now
up
printf '@%s base %s %s\n' "$ae_mark" "$t" "$ae_u" >samples.base
cd "${HOME:-/}" 2>/dev/null || cd /
