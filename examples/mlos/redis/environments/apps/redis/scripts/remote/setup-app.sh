#!/bin/bash
# Start a server of our own with the trial's configuration.
set -eu
cd "$(dirname "$0")"
. ./common.sh
need_redis
stop_redis
mkdir -p "$state"
# One tunable of mlos_bench has an underscore where redis has a dash.
sed 's/_/-/' ../input/redis.cfg >"$state/redis.cfg"
redis-server "$state/redis.cfg" --port "$port" --bind 127.0.0.1 --save '' --dir "$state" --daemonize yes >/dev/null
for _ in $(seq 50); do
    [ "$(redis-cli -p "$port" ping 2>/dev/null)" != PONG ] || exit 0
    sleep 0.1
done
echo 'redis-server does not answer' >&2
exit 1
