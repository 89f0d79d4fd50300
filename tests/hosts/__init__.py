"""Real OpenSSH servers on one machine, without docker: throw-away hosts to test against.

    with Hosts(3) as hosts:
        subprocess.run(["ansible", "-i", hosts.inventory(), "all", "-m", "ansible.builtin.raw", "-a", "hostname"])

As root, each host has its own processes, host name, file system (an overlay over this machine's), /tmp,
boot_id and sshd on its own loopback port; it can be rebooted, cut off, frozen. Without root each is a
plain sshd of the current user. `python -m tests.hosts --help` is the same from a shell.
"""

from tests.hosts.fleet import Hosts
from tests.hosts.host import Host, wait_for
from tests.hosts.procs import Process
from tests.hosts.spec import HostsError, HostSpec, MissingProgram, NeedsRoot, namespace_problem

__all__ = [
    "Host",
    "HostSpec",
    "Hosts",
    "HostsError",
    "MissingProgram",
    "NeedsRoot",
    "Process",
    "namespace_problem",
    "wait_for",
]
