#!/bin/sh
# pid 1 of one fake host. The supervisor starts it in fresh pid, mount, uts and ipc namespaces, with
#   NSHOST_NAME  host name             NSHOST_FS   its file system parts (tmpfs, outlives a reboot)
#   NSHOST_DIR   its state directory   NSHOST_IP   address/prefix of eth0, when it has its own network
set -eu
[ "$$" -eq 1 ] || { echo "refusing: not pid 1 of a fresh pid namespace" >&2; exit 99; }
read -r outer_pid _ </proc/self/stat # /proc is still the outer one, so this is our pid out there
mount --make-rprivate /              # nothing mounted below may reach the real machine
hostname "$NSHOST_NAME"

cd "$NSHOST_FS"
tries=0 # the mounts of the previous boot may take a moment to go
until mount -t overlay overlay -o "lowerdir=/,upperdir=$NSHOST_FS/upper,workdir=$NSHOST_FS/work" merged; do
    tries=$((tries + 1)); [ "$tries" -lt 40 ] || exit 98
    sleep 0.05
done
cd merged
mount -t tmpfs -o mode=1777,nosuid,nodev tmp tmp
mount -t tmpfs -o mode=755,nosuid,nodev run run
mount --bind "$NSHOST_FS/root" root
mount --bind "$NSHOST_FS/home" home
mount --bind "$NSHOST_FS/vartmp" var/tmp
mount --bind "$NSHOST_FS/dev" dev # no disks in there
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
mkdir -p run/sshd run/nshost run/lock run/old
mount --bind "$NSHOST_DIR" run/nshost
mount -t proc -o nosuid,nodev,noexec proc proc
cat proc/sys/kernel/random/uuid >run/nshost/boot_id
# The kernel's knobs belong to the real machine: read-only here.
for knob in proc/sys proc/sysrq-trigger proc/irq; do
    [ -e "$knob" ] || continue
    mount --bind "$knob" "$knob"
    mount -o remount,bind,ro "$knob"
done
mount --bind run/nshost/boot_id proc/sys/kernel/random/boot_id
mount --bind /sys sys # not its submounts: no control groups to write to
mount -o remount,bind,ro sys

pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old

echo "$outer_pid" >/run/nshost/init.pid
if [ -n "${NSHOST_IP:-}" ]; then # the supervisor plugs in eth0 as soon as it knows our pid
    ip link set lo up
    until ip addr add "$NSHOST_IP" dev eth0 2>/dev/null; do sleep 0.02; done
    ip link set eth0 up
fi
boots=$(cat /run/nshost/boots 2>/dev/null || echo 0)
echo $((boots + 1)) >/run/nshost/boots
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset NSHOST_NAME NSHOST_FS NSHOST_DIR NSHOST_IP
/usr/sbin/sshd -E /run/nshost/sshd.log -f /run/nshost/sshd_config # becomes a daemon: our child

# A shutdown asks every process first, like a real one; the kernel kills what is left when pid 1 goes.
trap 'kill -TERM -1; sleep 0.1; exit 0' TERM
while :; do # `wait` reaps adopted orphans, too
    sleep infinity &
    wait $! || :
done
