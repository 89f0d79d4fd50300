# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of ansible_env.bench.phase; plugins/action/phase.py does the work, and nothing runs on the target."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: phase
short_description: Run a benchmark script, and return how it ended and the metrics in its output
version_added: 0.1.0
description:
  - Runs a script on a host, detached from the connection, and follows it to its end. Returns how the script ended, its
    start and end by the host's clock, and the metrics that it printed.
  - If the connection breaks while the script runs, the module connects again. The script is not affected, and its
    output is complete.
  - At the deadline, the host itself ends the script and its session, even if the controller is gone.
  - The task fails unless the script succeeded. RV(kind) is the outcome kind in one word, RV(msg) explains it in one
    sentence.
  - A script may do anything, so a task that has started one reports C(changed). It is not idempotent. Set
    C(changed_when) for a script that only measures.
  - With C(no_log), nothing of a script's output is shown or kept, and the callback
    P(ansible_env.bench.results#callback) records nothing of the task.
  - A task of a play that you write takes no lease on its host unless O(lease) names one, since it cannot know where a
    trial ends. The role P(ansible_env.bench.environment#role) takes leases.
  - Script, environment variables and output are transferred over standard input and output of the connection. Neither
    a shell nor this module templates the script. Mark text that contains C({{) with C(!unsafe) to keep Ansible from
    templating it.
attributes:
  check_mode:
    description: Can run in C(check_mode) without modifying target.
    support: full
    details:
      - The task checks its arguments, does not run the script, and is reported as skipped, never as a success.
  diff_mode:
    description: Will return details on what has changed when in C(diff_mode).
    support: none
    details:
      - The module cannot know what a script would change.
  async:
    description: Supports being used with the C(async) keyword.
    support: none
    details:
      - The script is detached from the connection in any case. Use O(timeout) for a deadline.
  become:
    description: Is usable alongside C(become) keywords.
    support: full
    details:
      - The script and its watchdog run as the user that C(become) names.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
options:
  script:
    description:
      - The text of the script. O(shell) gets it as a file. Its standard input is empty.
      - Without a script nothing is run on the host. With O(wait_boot) the module still waits for the host.
    type: str
  env:
    description:
      - Environment variables of the script. A name consists of ASCII letters, digits and C(_). A value is a string
        or a number, and the script gets it unchanged. The keyword C(environment) of a task, a block or a play adds
        variables; those of O(env) take precedence.
    type: dict
    default: {}
  secret_env:
    description:
      - Environment variables whose values are masked in the output, in logs and in results. Otherwise as O(env).
      - A part of a value, or an encoded value, that the script prints is not masked.
    type: dict
    default: {}
  shell:
    description:
      - The program that runs the script, a name in the host's E(PATH) or a path.
    type: str
    default: bash
  chdir:
    description:
      - Working directory of the script. The default is the user's home directory.
    type: path
  fail_fast:
    description:
      - Whether the script stops at the first command that fails, as with C(set -e). By default only the exit status of
        the last command counts.
    type: bool
    default: false
  timeout:
    description:
      - Seconds after which the host ends the script. By default there is no deadline. The keyword C(timeout) of the
        task is a deadline as well; the earlier one counts.
    type: float
  grace:
    description:
      - Seconds between SIGTERM and SIGKILL when a script is ended.
    type: float
    default: 5.0
  keep_running:
    description:
      - Whether processes that the script leaves in its session, such as a server, continue to run. By default they are
        ended with the script.
    type: bool
    default: false
  may_reboot:
    description:
      - Whether a restart of the host while the script runs is a success. By default it is a failure.
    type: bool
    default: false
  results_stdout_pattern:
    description:
      - Regular expression that matches metrics in standard output; C(^) and C($) match at each line. It has two groups,
        the name and the value, or one named group for each metric. If a name has several values, the last one counts.
      - Values that look like numbers become numbers in RV(metrics).
    type: str
  results_json:
    description:
      - Take metrics from the JSON object on the last line of standard output, or else from the last one that begins a
        line, such as the indented output of a tool. Values in objects have dotted names; arrays are left out.
    type: bool
    default: false
  metrics:
    description:
      - Metrics to the paths of their values in that JSON object, such as V({'read_iops':'jobs.0.read.iops'}). A path
        has keys and indexes of arrays. Without O(results_json), these values alone are metrics.
    type: dict
    default: {}
  results_file:
    description:
      - Name of a file on the host with metrics, which is read after the script. It is JSON, or CSV if the name ends
        with C(.csv). A CSV file has rows of a metric and its value, or a header and rows.
      - O(results_json) and O(metrics) are about this file then. Without either, all values outside of arrays are
        metrics. A file that is older than the script is not read.
      - A script with exit status 0 whose file cannot be read has failed, with RV(kind=metrics_missing).
    type: str
  collect:
    description:
      - Patterns of files on the host to bring to the controller after the script, such as V(out/*.json), also if the
        script failed or timed out. Relative ones are relative to O(chdir), or to the user's home.
      - The files are kept where logs are kept, with the environment variable E(ANSIBLE_ENV_LOG_DIR) or the callback
        P(ansible_env.bench.results#callback).
    type: list
    elements: str
    default: []
  collect_limit_mib:
    description:
      - Most MiB to collect. A file that does not fit is left out, and named in RV(files_note).
    type: int
    default: 100
  required_metrics:
    description:
      - Names of metrics that have to be in the output. If one is missing, a script with exit status 0 has failed, with
        RV(kind=metrics_missing). Each must be a finite number.
    type: list
    elements: str
    default: []
  valid:
    description:
      - What metrics must be, as a metric or a pattern such as V(*_errors), and one rule or a list of rules. A rule is
        a comparison, such as V(> 0) or V(<= 12 ms), V(finite) or V(any).
      - If a metric breaks a rule, or is NaN or infinite and no rule for it is V(any), a script with exit status 0 has
        failed, with RV(kind=metrics_invalid).
    type: dict
    default: {}
  require:
    description:
      - What the host must be before the script is started, as facts and values, or comparisons such as V(< 0.5).
      - The facts are C(governor), C(boost), C(no_turbo), C(smt), C(load_1m), C(memory_available_mib),
        C(disk_free_mib) of O(run_dir), C(clock_offset_s), C(swap_kib), C(cpus), C(memory_kib), C(kernel),
        C(machine), C(os), C(cpu), C(clocksource) and C(virtual). C(commands) is a list of programs that must exist.
      - If the host differs, nothing is started, and the task fails with RV(kind=unfit). Without O(script), the task
        only checks the host.
    type: dict
    default: {}
  disturbed_if:
    description:
      - From when on something else on the host has disturbed the script, which RV(disturbed) says then. Maps what is
        measured to a comparison such as V(> 50), or to V(off). Others keep the limits of C(ansible_env), which are in
        its documentation.
    type: dict
    default: {}
  resource_metrics:
    description:
      - Whether RV(resources) are among RV(metrics).
    type: bool
    default: false
  telemetry:
    description:
      - What to sample on the host while the script runs. Each item may have C(every), the seconds between two samples
        (default 1); and C(command), shell text, with C(pattern), which matches metrics in its standard output as
        O(results_stdout_pattern) does. Without a command, cpu, memory, disks and network are sampled from C(/proc).
      - Samples are kept on the host, and fetched after the end of the script.
    type: list
    elements: dict
    default: []
  reconnect:
    description:
      - Seconds for which the module tries to restore a lost connection.
    type: float
    default: 60.0
  poll:
    description:
      - Seconds between two polls for new output, on the host. The end of the script is noticed at once.
    type: int
    default: 1
  wait_boot:
    description:
      - Seconds to wait until the host answers, before the script starts. V(0) does not wait.
    type: float
    default: 0.0
  run_dir:
    description:
      - Directory on the host in which the private run directory of the script is created, and removed at its end.
    type: str
    default: /tmp
  attach:
    description:
      - Follow a script that an earlier controller has started, instead of starting it. The C(ansible_env) library sets
        this when it resumes a trial whose controller was killed.
    type: bool
    default: false
  step:
    description:
      - Number of the script in its phase. The C(ansible_env) library numbers the scripts of a phase, so that O(attach)
        can identify each of them.
    type: int
    default: 1
  background:
    description:
      - Start the script and continue with the next task. A later task follows it, with O(attach) and the RV(run_id) of
        this one.
    type: bool
    default: false
  hold:
    description:
      - With O(background), stage the script without starting it. It waits at most so many seconds for a task with
        O(release_at).
    type: int
    default: 0
  release_at:
    description:
      - Start the staged script O(run_id) at this time, in seconds since the epoch by the controller's clock.
    type: float
  lease:
    description:
      - The lease that the script takes on the host, as JSON. The role P(ansible_env.bench.environment#role) sets this.
    type: str
  release_lease:
    description:
      - Give back the lease of this name, which scripts of a trial took on the host. The C(ansible_env) library sets
        this at the end of a trial that has not given it back with its last script.
    type: str
  clock_offset:
    description:
      - Seconds by which the host's clock is ahead of the controller's; RV(clock_offset) of the task that staged it.
    type: float
    default: 0.0
  run_id:
    description:
      - The script to follow with O(attach). It is RV(run_id) of the task that started the script.
    type: str
  end:
    description:
      - End the script instead of following it. With V(over) that is a success, with V(canceled) it is canceled.
    type: str
    choices: [over, canceled]
  host_env:
    description:
      - Environment variables whose values differ between hosts. Maps each to the name of a host variable.
    type: dict
    default: {}
  secret_host_env:
    description:
      - As O(host_env), for values that are masked as in O(secret_env).
    type: dict
    default: {}
  export_patterns:
    description:
      - For each name, a regular expression with one group. The last match of the group in standard output is in
        RV(exports). If one is missing, a script with exit status 0 has failed.
    type: dict
    default: {}
  export_values:
    description:
      - Further values of RV(exports), by name; usually templates.
    type: dict
    default: {}
  exports_from:
    description:
      - Earlier tasks of the same playbook whose RV(exports) become environment variables of the script. Each item has
        V(register), the variable with the result of the task, and V(hosts), a pattern for the hosts that ran the task.
        Values of several hosts are separated by spaces.
    type: list
    elements: dict
    default: []
  exports_known:
    description:
      - Values that hosts exported in an earlier attempt, by the names of the hosts.
    type: dict
    default: {}
requirements:
  - on the controller, the C(ansible_env) library from its clone or its wheel
  - on the host, C(/bin/sh), C(setsid) or C(perl), and the O(shell); no Python
notes:
  - Works over every connection that can run a command on a POSIX host, such as P(ansible.builtin.ssh#connection) and
    P(ansible.builtin.local#connection).
  - RV(stdout) and RV(stderr) hold at most 64 KiB each, the beginning and the end. Metrics are parsed from all of it.
seealso:
  - module: ansible.builtin.script
  - module: ansible.builtin.shell
author:
  - The ansible_env maintainers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Measure the hash rate of this host
  ansible_env.bench.phase:
    script: |
      openssl speed -seconds "$seconds" -bytes 16384 sha256 2>&1 | awk '/^sha256/ {print "sha256=" $2}'
    env:
      seconds: "2"
    results_stdout_pattern: '^(\w+)=([0-9.]+)'
    required_metrics: [sha256]
    timeout: 30
  register: bench

- name: Show the result
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
  description: Version of the format of the result.
  returned: always
  type: int
  sample: 1
status:
  description:
    - Status of the script. One of V(SUCCEEDED), V(FAILED), V(TIMED_OUT), V(CANCELED).
  returned: always
  type: str
  sample: SUCCEEDED
kind:
  description:
    - The outcome kind. V(ok) is a success. V(exit), V(signal), V(metrics_missing), V(metrics_invalid) and V(timeout)
      are failures of the script. V(canceled) is a cancel and V(rejected) means invalid arguments. V(unreachable),
      V(auth), V(become), V(interpreter), V(no_space), V(busy), V(unfit), V(lost_result) and V(controller) are
      infrastructure failures, which say nothing about what was measured.
  returned: always
  type: str
  sample: ok
msg:
  description: Explanation of the outcome kind, in one sentence.
  returned: always
  type: str
  sample: exit status 3
rc:
  description:
    - Exit status as the host's shell reports it, 128 + n for signal n.
  returned: when the script has ended or was ended
  type: int
  sample: 0
metrics:
  description: Metrics from standard output. Numbers are numbers.
  returned: when the script may have been started
  type: dict
  sample: {"throughput": 1234.5, "p99_ms": 7}
metrics_partial:
  description: Whether the metrics are from a script that did not succeed.
  returned: when the script may have been started
  type: bool
  sample: false
start:
  description: Start of the script by the host's clock, ISO 8601, in UTC.
  returned: when the script may have been started
  type: str
  sample: "2025-11-22T19:36:43.123456+00:00"
end:
  description: End of the script by the host's clock, ISO 8601, in UTC. Null if it is not known.
  returned: when the script may have been started
  type: str
  sample: "2025-11-22T19:36:45.654321+00:00"
elapsed:
  description: Seconds between RV(start) and RV(end), whether or not the host's clock was set in between.
  returned: when both are known
  type: float
  sample: 2.530865
clock_step:
  description: Seconds by which the host's clock was set forward while the script ran.
  returned: when that is more than 2 s
  type: float
  sample: 7200.0
stdout:
  description: Standard output, or its beginning and end. Bytes that are not UTF-8 become U+FFFD.
  returned: when the script may have been started
  type: str
  sample: "throughput: 1234.5\n"
stderr:
  description: Standard error, or its beginning and end.
  returned: when the script may have been started
  type: str
  sample: ""
truncated:
  description: Whether the middle of RV(stdout) or RV(stderr) is left out.
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
  description: File on the controller with the complete standard output.
  returned: when the engine keeps logs (E(ANSIBLE_ENV_LOG_DIR) is set)
  type: str
  sample: logs/run/web1.stdout
stderr_log:
  description: File on the controller with the complete standard error.
  returned: when the engine keeps logs (E(ANSIBLE_ENV_LOG_DIR) is set)
  type: str
  sample: logs/run/web1.stderr
telemetry:
  description: Samples, each with its time by the host's clock, the name of the metric, and the value.
  returned: with O(telemetry)
  type: list
  elements: list
  sample: [["2025-11-22T19:36:44.123456+00:00", "cpu_percent", 97.5]]
files:
  description: The files that were collected, as paths below RV(files_dir).
  returned: if files were collected
  type: list
  elements: str
  sample: [out/fio.json]
files_dir:
  description: The directory of the files on the controller.
  returned: if files were collected
  type: str
files_note:
  description: What was not collected, and why; and which files are older than the script.
  returned: if there is something to note
  type: str
  sample: "not collected, because the limit of 100 MiB (collect_limit_mib) is reached: out/trace.bin"
reconnects:
  description: How often the connection was restored while the script ran.
  returned: when the script may have been started
  type: int
  sample: 0
rebooted:
  description: Whether the host was restarted while the script ran.
  returned: when the script may have been started
  type: bool
  sample: false
leftovers:
  description:
    - Processes that the script had left behind outside of its session, or that O(keep_running) lets live on; the id and
      the name of each. Without O(keep_running) they were ended.
  returned: when there were any
  type: list
  elements: str
  sample: ["4711 sleep"]
resources:
  description:
    - What the script has used, with the processes that it started and that have ended. C(cpu_user_s), C(cpu_system_s),
      C(max_rss_bytes), C(io_read_bytes) and C(io_written_bytes), as far as the host knows them.
  returned: when the host knows some
  type: dict
  sample: {cpu_user_s: 1.25, cpu_system_s: 0.03}
disturbance:
  description: What else happened on the host while the script ran; empty for a script of less than a second.
  returned: when the script may have been started
  type: dict
  sample: {foreign_cpu_percent: 1.5, steal_percent: 0.0}
disturbed:
  description: What of RV(disturbance) was above its limit.
  returned: when something was
  type: str
  sample: foreign_cpu_percent is 98.2 (> 25)
left_running:
  description: Ids of processes of the script that could not be ended, such as those of another user.
  returned: when the script may have been started
  type: list
  elements: int
  sample: []
leased:
  description:
    - Whether the trial still has its lease on the host. A task takes one if the C(ansible_env) library runs it in an
      environment with C(exclusive), which is the default there. A task in a play of your own takes none.
  returned: when the script took a lease
  type: bool
  sample: false
may_run:
  description:
    - That the script, or processes of it, may still be running, as the host did not confirm their end. Follow or end it
      by its RV(run_id) before anything else is started on the host.
  returned: when that is so
  type: bool
  sample: true
run_id:
  description: Name of this run. All processes of the script have it in E(ANSIBLE_ENV_RUN_ID).
  returned: when the script may have been started
  type: str
  sample: 3f1d0c5e6f5b4c0c8b0f7a1f5f0e9d2a
background:
  description: Whether the script was started in the background.
  returned: with O(background)
  type: bool
  sample: true
staged:
  description: Time at which the script was staged, in seconds since the epoch by the controller's clock.
  returned: with O(hold)
  type: float
  sample: 1763841404.5
clock_offset:
  description: Seconds by which the host's clock is ahead of the controller's.
  returned: with O(hold)
  type: float
  sample: -0.0123
clock_error:
  description: Largest possible error of RV(clock_offset), in seconds.
  returned: with O(hold)
  type: float
  sample: 0.0004
exports:
  description: The values of O(export_patterns) and O(export_values), by name.
  returned: with O(export_patterns) or O(export_values)
  type: dict
  sample: {"port": "5433"}
ended:
  description: Whether the script was ended because the other scripts had ended. This is a success.
  returned: with O(end=over)
  type: bool
  sample: true
"""
