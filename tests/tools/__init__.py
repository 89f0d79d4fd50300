"""Programs for developers that are not tests: they measure, or try one thing for longer than a test may take.

| `python -m tests.tools.…` | Does |
|---|---|
| `random_faults` | runs hundreds of short phases on real hosts with random faults, and checks each outcome |
| `exclusive_hosts` | kills controllers, workers and connections at random: never two scripts on a host at once |
| `kill_sweeps` | kills sweeps by SIGKILL at random moments, and compares the store with the bundles |
| `store_at_scale` | writes 10,000 trials into a store, and measures queries |
| `groups_at_scale` | runs groups of up to 200 hosts: success policies, sweeps, time and memory |
| `collection_sanity` | runs `ansible-test sanity` on the collection without containers; part of `make lint` |
"""
