"""From the stdout of a script to `{name: typed value}`.

The rules are those of mlos_bench 0.6.2 (`environments/script_env.py:120-139`, `util.py:try_parse_val`).
"""
