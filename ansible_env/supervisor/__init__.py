"""The conversation with a target: what is sent to its `/bin/sh`, and what comes back.

Pure text in, pure text out: who carries it (an Ansible connection, a pipe in a test) is of no concern here.
`supervisor.sh` beside this file is what stays on the target while a script runs.
"""
