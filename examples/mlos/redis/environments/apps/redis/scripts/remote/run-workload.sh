#!/bin/bash
# The same measurement as that of mlos_bench, with fewer requests.
set -eu
cd "$(dirname "$0")"
. ./common.sh
redis-benchmark -p "$port" -t set -n 20000 -q --csv | tee /tmp/mlos_bench/output/results.csv
