#!/bin/bash
# The workload is redis-benchmark, which comes with the server.
set -eu
cd "$(dirname "$0")"
. ./common.sh
need_redis
