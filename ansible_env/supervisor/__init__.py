"""The protocol with a target: the programs for its `/bin/sh`, and their replies.

Input and output are text. An Ansible connection, or a pipe in a test, transports it.
`supervisor.sh` beside this file is on the target while a script runs.
"""
