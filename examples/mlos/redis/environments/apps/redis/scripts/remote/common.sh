# Shared by the scripts beside it, which are run on the host.

port=6390
state=/var/tmp/mlos-redis

# Install redis, where it is not there yet.
need_redis() {
    command -v redis-server >/dev/null && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq install -y --no-install-recommends redis-server >/dev/null
}

stop_redis() {
    redis-cli -p "$port" shutdown nosave >/dev/null 2>&1 || true
}
