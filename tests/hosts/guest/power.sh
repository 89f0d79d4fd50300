#!/bin/sh
# systemctl of a fake host; shutdown, reboot, halt and poweroff link to it, as on Debian.
# It only ever ends pid 1 of the fake host; the supervisor boots it again when that was asked for.
[ -e /run/nshost/init.pid ] || { echo "not a fake host" >&2; exit 1; }
name=${0##*/}
case "$name $*" in
    "shutdown -c"*) kill "$(cat /run/shutdown.pid)" 2>/dev/null; rm -f /run/shutdown.pid; exit 0 ;;
    "shutdown -r"* | "shutdown --reboot"* | reboot* | "systemctl reboot"* | "systemctl --force reboot"*) do=reboot ;;
    shutdown* | halt* | poweroff* | "systemctl poweroff"* | "systemctl halt"*) do=poweroff ;;
    "systemctl is-system-running"*) echo running; exit 0 ;;
    *) echo "$name $*: not supported by this fake host" >&2; exit 1 ;;
esac
[ "$(id -u)" = 0 ] || { echo "Interactive authentication required." >&2; exit 1; }
minutes=0
if [ "$name" = shutdown ]; then
    minutes=1 # shutdown's default
    for word; do
        case $word in
            now) minutes=0 ;;
            [0-9]* | +[0-9]*) minutes=${word#+} ;;
            *) continue ;;
        esac
        break
    done
fi
echo "$name $*" >>/run/nshost/power.log
trap '' HUP INT # the caller's terminal may close before setsid has run
# The short wait lets the caller see exit status 0 before the connection goes.
setsid sh -c 'echo $$ >/run/shutdown.pid; sleep "$1"; echo "$2" >/run/nshost/power; kill -TERM 1' sh \
    "$(awk "BEGIN { print $minutes * 60 + 0.3 }")" "$do" </dev/null >/dev/null 2>&1 &
exit 0
