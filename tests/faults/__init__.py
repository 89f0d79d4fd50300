"""The 56 given/when/then cases that an execution adapter has to get right, against real sshd hosts and localhost.

test_injection.py 1-13, test_output.py 14-19, test_outcome.py 20-31, test_time.py 32-37 and 43-45 (deadlines, cancel,
connections), test_control.py 38-42 (controllers and their signals), test_state.py 46-56, test_secrets.py 50,
test_boot.py (reboots). A number in a test's name is the case's.

Cases that the design leaves no room for, each with a small test of what makes it so where there is anything to test:

- 17: ansible-runner's size limit for results is lifted, and ours have 64 kB of output; an empty one is still a failure.
- 22, 23: not a failed phase but an `InventoryError`, before any host is touched.
- 26: plays are ours, so there is neither `serial` nor `max_fail_percentage`; a host without events is `not_run`.
- 30: no Python is needed on a target; what a script needs is its shell, and that one's absence is `interpreter`.
- 38: there is no cancel callback that a user could get wrong; a `Cancellation` cannot be taken back.
- 39: scripts are not Ansible `async` jobs; what stands for it is a script's background jobs.
- 56: `make test-all` runs everything with each ansible-core.
"""
