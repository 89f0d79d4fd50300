# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of ansible_env.bench.phase; plugins/action/phase.py does the work, and nothing runs on the target."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: phase
short_description: Run a script of a benchmark, with a true outcome and the metrics in its output
version_added: 0.1.0
description:
  - Runs a script on a host, detached from the connection, follows it to its end, and returns how it ended, its
    start and end by the host's own clock, and the metrics that it printed.
  - A connection that breaks while the script runs is made again. The script does not notice, and its output is
    complete.
  - At its deadline the script is ended by the host itself, with all that it has started, also where the controller
    is gone by then.
  - The task fails unless the script succeeded. RV(kind) says in one word what happened, RV(msg) in one sentence.
  - Script, environment variables and output travel over standard input and output of the connection. The script is
    never templated by a shell or by this module; mark text that holds C({{) with C(!unsafe) to keep Ansible from it.
attributes:
  check_mode:
    description: Can run in C(check_mode) without modifying target.
    support: full
    details:
      - The arguments are checked, the script is not run, and the task is reported as skipped, never as a success.
  diff_mode:
    description: Will return details on what has changed when in C(diff_mode).
    support: none
    details:
      - What a script would change cannot be known.
  async:
    description: Supports being used with the C(async) keyword.
    support: none
    details:
      - The script is detached from the connection in any case. Use O(timeout) for a deadline.
  become:
    description: Is usable alongside C(become) keywords.
    support: full
    details:
      - The script runs as the user that C(become) names, and so does all that watches over it.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
options:
  script:
    description:
      - The script, as text. It is given to O(shell) as a file. Its standard input is empty.
      - Without a script nothing is run on the host. With O(wait_boot) the host is waited for all the same.
    type: str
  env:
    description:
      - Environment variables of the script. A name is made of ASCII letters, digits and C(_). A value is a string
        (quote numbers) and arrives as it is, byte by byte.
    type: dict
    default: {}
  secret_env:
    description:
      - Environment variables whose values are masked in the output, in logs and in results. Otherwise as O(env).
      - A script that prints only a part of a value, or an encoded one, is not protected from itself.
    type: dict
    default: {}
  shell:
    description:
      - The program that runs the script, found in the host's E(PATH) or given by its path.
    type: str
    default: bash
  chdir:
    description:
      - Directory to start in. The user's home directory, where it is not given.
    type: path
  fail_fast:
    description:
      - Stop at the first command that fails, as C(set -e) does. Otherwise only the status of the last one counts.
    type: bool
    default: false
  timeout:
    description:
      - Seconds after which the host ends the script. No deadline, where it is not given.
    type: float
  grace:
    description:
      - Seconds that a script has between SIGTERM and SIGKILL.
    type: float
    default: 5.0
  keep_running:
    description:
      - Leave alone what the script has started and left running in its session, such as a server. It is ended
        together with the script otherwise.
    type: bool
    default: false
  may_reboot:
    description:
      - Whether a restart of the host in the middle of the script is a success. It is a failure otherwise.
    type: bool
    default: false
  results_stdout_pattern:
    description:
      - Regular expression that finds metrics in standard output, with C(^) and C($) at each line. It has two groups,
        the name and the value, or named groups, one for each metric. Of several values for a name the last counts.
      - Numbers in the output become numbers in RV(metrics).
    type: str
  results_json:
    description:
      - Take the last line of standard output as a JSON object of metrics.
    type: bool
    default: false
  required_metrics:
    description:
      - Names of metrics without which a script that ended well has failed, with RV(kind=metrics_missing).
    type: list
    elements: str
    default: []
  telemetry:
    description:
      - What to look at on the host while the script runs. Each item may have C(every), the seconds between two looks, 1
        by default; and C(command), shell text, with C(pattern), which finds metrics in its standard output as
        O(results_stdout_pattern) does. Without a command it is cpu, memory, disks and network, from C(/proc).
      - Samples are kept on the host, and fetched when the script has ended.
    type: list
    elements: dict
    default: []
  reconnect:
    description:
      - Seconds for which a lost connection is tried again.
    type: float
    default: 60.0
  poll:
    description:
      - Seconds between two looks for new output, taken on the host. The end of the script is noticed at once.
    type: int
    default: 1
  wait_boot:
    description:
      - Seconds to wait, before anything else, until the host answers. V(0) does not wait.
    type: float
    default: 0.0
  run_dir:
    description:
      - Directory on the host in which a private one is made for the length of the script.
    type: str
    default: /tmp
  attach:
    description:
      - Follow a script that an earlier controller has started, instead of starting it. The C(ansible_env) library sets
        this when it takes up a trial whose controller was killed.
    type: bool
    default: false
  step:
    description:
      - Which script of its phase this is. The C(ansible_env) library numbers those of a phase with several, so that
        each can be found again by O(attach).
    type: int
    default: 1
  background:
    description:
      - Start the script and go on. A later task follows it, with O(attach) and the RV(run_id) of this one.
    type: bool
    default: false
  hold:
    description:
      - With O(background), stage the script, and let it wait so many seconds at the most for a task with O(release_at).
    type: int
    default: 0
  release_at:
    description:
      - Let the staged script O(run_id) start at this time, in seconds since the epoch by the controller's clock.
    type: float
  clock_offset:
    description:
      - By how many seconds the host's clock is ahead of the controller's; RV(clock_offset) of the task that staged it.
    type: float
    default: 0.0
  run_id:
    description:
      - Which script to follow, with O(attach); the RV(run_id) of the task that started it.
    type: str
  end:
    description:
      - End the script that is followed. That is a success with V(over), and it is canceled with V(canceled).
    type: str
    choices: [over, canceled]
  host_env:
    description:
      - Environment variables with values that each host has for itself, as names of its variables.
    type: dict
    default: {}
  secret_host_env:
    description:
      - The same for values that are masked, as in O(secret_env).
    type: dict
    default: {}
  export_patterns:
    description:
      - Names, and for each a regular expression with one group. What the group last finds in standard output is in
        RV(exports). A script that ended well without one of them has failed.
    type: dict
    default: {}
  export_values:
    description:
      - More values for RV(exports), by name; usually templates.
    type: dict
    default: {}
  exports_from:
    description:
      - Earlier tasks of the same playbook whose RV(exports) become environment variables of the script. Each has the
        variable in which its result is registered, as V(register), and a pattern for the hosts that have run it, as
        V(hosts). Values of several hosts are put in a row, with blanks between them.
    type: list
    elements: dict
    default: []
  exports_known:
    description:
      - What hosts have exported in an earlier try, by their names.
    type: dict
    default: {}
requirements:
  - on the controller, the C(ansible_env) library (C(pip install ansible-env))
  - on the host, C(/bin/sh), C(setsid) or C(perl), and the O(shell); no Python
notes:
  - Works over every connection that can run a command on a POSIX host, such as P(ansible.builtin.ssh#connection) and
    P(ansible.builtin.local#connection).
  - RV(stdout) and RV(stderr) hold at most 64 KiB each, the beginning and the end. Metrics are taken from the whole.
seealso:
  - module: ansible.builtin.script
  - module: ansible.builtin.shell
author:
  - The ansible_env maintainers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Measure how fast this host hashes
  ansible_env.bench.phase:
    script: |
      openssl speed -seconds "$seconds" -bytes 16384 sha256 2>&1 | awk '/^sha256/ {print "sha256=" $2}'
    env:
      seconds: "2"
    results_stdout_pattern: '^(\w+)=([0-9.]+)'
    required_metrics: [sha256]
    timeout: 30
  register: bench

- name: Show what came of it
  ansible.builtin.debug:
    msg: "{{ bench.status }} in {{ bench.elapsed }} s: {{ bench.metrics }}"

- name: Run a client that prints a JSON object at its end, as another user
  ansible_env.bench.phase:
    script: ./loadtest --json
    chdir: /opt/loadtest
    results_json: true
    required_metrics: [throughput, p99_ms]
    timeout: 600
    grace: 20
  become: true
  become_user: bench

- name: Clean up, whatever happens
  block:
    - name: Start the server
      ansible_env.bench.phase:
        script: ./server --daemon
        keep_running: true

    - name: Measure it
      ansible_env.bench.phase:
        script: ./client
        results_stdout_pattern: 'throughput: (?P<throughput>\S+)'
        secret_env:
          API_TOKEN: "{{ api_token }}"
  always:
    - name: Stop the server
      ansible_env.bench.phase:
        script: ./server --stop
"""

RETURN = r"""
ansible_env:
  description: Version of this form of a result.
  returned: always
  type: int
  sample: 1
status:
  description:
    - How the script ended. One of V(SUCCEEDED), V(FAILED), V(TIMED_OUT), V(CANCELED).
  returned: always
  type: str
  sample: SUCCEEDED
kind:
  description:
    - What happened, in one word. V(ok); V(exit), V(signal), V(metrics_missing) and V(timeout) are the script's doing;
      V(canceled) and V(rejected) are ours; V(unreachable), V(auth), V(become), V(interpreter), V(no_space),
      V(lost_result) and V(controller) are failures of the machinery, which say nothing of what was measured.
  returned: always
  type: str
  sample: ok
msg:
  description: What happened, in one sentence.
  returned: always
  type: str
  sample: exit status 3
rc:
  description:
    - Exit status as the host's shell gave it, 128 + n for signal n.
  returned: when the script got to its end, or was ended
  type: int
  sample: 0
metrics:
  description: Metrics from standard output, numbers as numbers.
  returned: when the script may have been started
  type: dict
  sample: {"throughput": 1234.5, "p99_ms": 7}
metrics_partial:
  description: Whether the metrics are from a script that did not succeed.
  returned: when the script may have been started
  type: bool
  sample: false
start:
  description: Start of the script by the host's own clock, ISO 8601, in UTC.
  returned: when the script may have been started
  type: str
  sample: "2025-11-22T19:36:43.123456+00:00"
end:
  description: End of the script by the host's own clock. Null where it is not known.
  returned: when the script may have been started
  type: str
  sample: "2025-11-22T19:36:45.654321+00:00"
elapsed:
  description: Seconds between these two, by a clock of the host that nobody sets.
  returned: when both are known
  type: float
  sample: 2.530865
clock_step:
  description: Seconds by which the host's clock was set forward while the script ran.
  returned: when that is more than 2 s
  type: float
  sample: 7200.0
stdout:
  description: What the script printed, or the beginning and the end of it. Bytes that are no UTF-8 become U+FFFD.
  returned: when the script may have been started
  type: str
  sample: "throughput: 1234.5\n"
stderr:
  description: The same of standard error.
  returned: when the script may have been started
  type: str
  sample: ""
truncated:
  description: Whether RV(stdout) or RV(stderr) have their middle left out.
  returned: when the script may have been started
  type: bool
  sample: false
stdout_bytes:
  description: Bytes that the script printed to standard output.
  returned: when the script may have been started
  type: int
  sample: 19
stderr_bytes:
  description: Bytes that the script printed to standard error.
  returned: when the script may have been started
  type: int
  sample: 0
stdout_log:
  description: File on the controller with the whole standard output.
  returned: when the engine keeps logs (E(ANSIBLE_ENV_LOG_DIR) is set)
  type: str
  sample: logs/run/web1.stdout
stderr_log:
  description: File on the controller with the whole standard error.
  returned: when the engine keeps logs (E(ANSIBLE_ENV_LOG_DIR) is set)
  type: str
  sample: logs/run/web1.stderr
telemetry:
  description: Samples, each with its time by the host's clock, the name of the metric, and the value.
  returned: with O(telemetry)
  type: list
  elements: list
  sample: [["2025-11-22T19:36:44.123456+00:00", "cpu_percent", 97.5]]
reconnects:
  description: How often the connection had to be made again while the script ran.
  returned: when the script may have been started
  type: int
  sample: 0
rebooted:
  description: Whether the host was restarted in the middle of the script.
  returned: when the script may have been started
  type: bool
  sample: false
left_running:
  description: Processes of the script that could not be ended, such as another user's.
  returned: when the script may have been started
  type: list
  elements: int
  sample: []
run_id:
  description: Name of this run, which all processes of the script have as E(ANSIBLE_ENV_RUN_ID).
  returned: when the script may have been started
  type: str
  sample: 3f1d0c5e6f5b4c0c8b0f7a1f5f0e9d2a
background:
  description: That the script was started and goes on.
  returned: with O(background)
  type: bool
  sample: true
staged:
  description: When the script was ready to start, in seconds since the epoch by the controller's clock.
  returned: with O(hold)
  type: float
  sample: 1763841404.5
clock_offset:
  description: By how many seconds the host's clock is ahead of the controller's.
  returned: with O(hold)
  type: float
  sample: -0.0123
clock_error:
  description: By how much RV(clock_offset) may be wrong at the most.
  returned: with O(hold)
  type: float
  sample: 0.0004
exports:
  description: What O(export_patterns) found, and O(export_values).
  returned: with O(export_patterns) or O(export_values)
  type: dict
  sample: {"port": "5433"}
ended:
  description: That the script was ended because the others were done, which is a success.
  returned: with O(end=over)
  type: bool
  sample: true
"""
