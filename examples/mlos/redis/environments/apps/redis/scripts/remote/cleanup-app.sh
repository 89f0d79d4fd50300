#!/bin/bash
# Stop the server and remove what it wrote.
set -eu
cd "$(dirname "$0")"
. ./common.sh
stop_redis
rm -rf -- "$state"
