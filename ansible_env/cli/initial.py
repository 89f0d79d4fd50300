"""What `init` writes: the texts, with places for the answers."""

PATTERN = r"^(\w+)=(\S+)$"
"""Lines as `score=12.5`."""

ENVIRONMENT = """\
---
# An environment: how a benchmark is set up on its hosts, run, and cleaned up.
#
#   ansible-env validate environment.yml          is this file right?
#   ansible-env trial environment.yml -i inventory.yml
#   ansible-env schema > environment.schema.json  for an editor that completes keys

name: {name}
hosts: all                  # an Ansible pattern: which hosts of the inventory

{body}
# How metrics are found in the stdout of run: a pattern with two groups, name and value, or with named groups, each a
# metric; or `results_json: true` for a JSON object in the last line.
{metrics}

# Deadlines, which the hosts keep by themselves: what a script has started is ended, too.
timeouts: {{setup: 5m, run: 30m, teardown: 5m, grace: 5s}}

# What to look at on the hosts during run: cpu, memory, disks and network, each second.
# telemetry: true

# For CI: the exit code is 3 where one of these does not hold.
# assert:
#   score: ">= 0.95 * baseline"
# baseline: baseline.json
"""

EXAMPLE = """\
# Parameters, and their values. `-p mib=512` replaces one for a trial.
const_args:
  work_dir: /var/tmp
  mib: 64

# Parameters with a range: what `ansible-env sweep --grid block_kib=64,1024`, or an autotuner, may change.
tunables:
  disk:
    cost: 1
    params:
      block_kib: {type: int, range: [4, 4096], default: 1024}

# Which of them the scripts see, as environment variables.
shell_env_params: [work_dir, mib, block_kib]

# The lines of a phase are one script. They are never templated: `$mib` is the shell's. An item may also be an Ansible
# task, as `{name: …, ansible.builtin.package: {name: fio}}`.
setup:
  - mkdir -p -m 700 -- "$work_dir/ansible-env-probe"
run:
  - |
    file=$work_dir/ansible-env-probe/file
    begin=$(date +%s%N)
    dd if=/dev/zero of="$file" bs="${block_kib}K" count=$((mib * 1024 / block_kib)) conv=fsync 2>/dev/null || exit 1
    end=$(date +%s%N)
    echo "write_mib_per_s=$((mib * 1000000000 / (end - begin + 1)))"
teardown:                   # runs always, also after a failure
  - rm -rf -- "${work_dir:?}/ansible-env-probe"

required_metrics: [write_mib_per_s]     # without it, the run has failed
"""

YOURS = """\
# Parameters, and their values. `-p seconds=60` replaces one for a trial.
# const_args:
#   seconds: 10

# Parameters with a range: what `ansible-env sweep --grid threads=1,4,16`, or an autotuner, may change.
# tunables:
#   load:
#     cost: 1
#     params:
#       threads: {{type: int, range: [1, 64], default: 4}}

# Which of them the scripts see, as environment variables.
# shell_env_params: [seconds, threads]

# The lines of a phase are one script. They are never templated: `$seconds` is the shell's. An item may also be an
# Ansible task, as `{{name: …, ansible.builtin.package: {{name: fio}}}}`.
# setup:
#   - mkdir -p /var/tmp/bench
run:
  - |
{command}
# teardown:                 # runs always, also after a failure
#   - rm -rf /var/tmp/bench

# required_metrics: [score]             # without it, the run has failed
"""

LOCAL = """\
---
# This machine alone. With hosts: `ansible-env init --hosts web1,web2`.
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""

SSH = """\
---
# Hosts over ssh. What ~/.ssh/config says of them (User, Port, IdentityFile, ProxyJump) is used, too.
all:
  hosts:
{hosts}
  vars:
{user}
    # ansible_port: 22
    # ansible_ssh_private_key_file: ~/.ssh/id_ed25519
    ansible_python_interpreter: auto_silent   # scripts need no Python there; Ansible tasks do
"""
