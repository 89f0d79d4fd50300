"""Shell door: fake hosts to try things on by hand. They run until `down`.

python -m tests.hosts up 3 --dir /tmp/fleet
ansible -i "$(python -m tests.hosts inventory --dir /tmp/fleet)" all -m ansible.builtin.setup
ssh -F /tmp/fleet/ssh_config h1
python -m tests.hosts down --dir /tmp/fleet
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

from tests.hosts.fleet import Hosts
from tests.hosts.spec import HostsError, HostSpec, Shell, Sudo

DEFAULT_DIR = "/tmp/ansible-env-hosts"
FAULTS = (
    "cut",
    "refuse",
    "accept",
    "freeze",
    "thaw",
    "reboot",
    "power-off",
    "power-on",
    "change-host-key",
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m tests.hosts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--dir", type=Path, default=Path(DEFAULT_DIR), help=f"of this set (default {DEFAULT_DIR})")
    commands = top.add_subparsers(dest="command", required=True)

    def add(name: str, help: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help, parents=[shared])

    up = add("up", "start hosts; return when all answer")
    up.add_argument("n", type=int, nargs="?", default=3)
    up.add_argument("--no-python", dest="python", action="store_false", help="hide every Python in the hosts")
    up.add_argument("--sh", choices=get_args(Shell), default="dash", help="what /bin/sh is")
    up.add_argument("--sudo", choices=get_args(Sudo), default="nopasswd", help="what the user bench may do")
    up.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME[,sh=SH][,sudo=SUDO][,python=no]",
        help="one more host, unlike the others (repeatable)",
    )
    up.add_argument("--network", action="store_true", help="own network namespaces; reach them by `controller`")
    up.add_argument("--outage", type=float, default=1.0, help="seconds that a reboot takes")
    up.add_argument("--plain", action="store_true", help="no namespaces: an sshd of yours for each host")
    inventory = add("inventory", "write an inventory and print its path")
    inventory.add_argument("--user", help="log in as this user (root, bench)")
    inventory.add_argument("--become", action="store_true")
    inventory.add_argument("--become-user")
    inventory.add_argument("--show", action="store_true", help="print the inventory itself")
    add("status", "show the hosts; exit 1 when one is down")
    add("down", "end the hosts; leave nothing")
    for name, help_text in (("exec", "run a command in a host, without ssh"), ("ssh", "run a command by ssh")):
        command = add(name, help_text)
        command.add_argument("--user")
        command.add_argument("host")
        command.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    controller = add("controller", "run a command where hosts with --network can be reached")
    controller.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    for name in FAULTS:
        add(name, f"{name.replace('-', ' ')} a host").add_argument("host")
    return top


def host_spec(text: str, defaults: dict[str, Any]) -> HostSpec:
    """A host of --host."""
    name, *options = text.split(",")
    values = dict(defaults)
    for option in options:
        key, _, value = option.partition("=")
        if key not in values:
            raise ValueError(f"--host {text}: unknown option {key!r}")
        values[key] = value not in ("no", "false", "0") if key == "python" else value
    return HostSpec(name, **values)


def up(args: argparse.Namespace) -> None:
    """Start hosts that outlive this command."""
    defaults = {"python": args.python, "sh": args.sh, "sudo": args.sudo}
    specs = [HostSpec(f"h{number}", **defaults) for number in range(1, args.n + 1)]
    specs += [host_spec(text, defaults) for text in args.host]
    hosts = Hosts(specs, dir=args.dir, network=args.network, outage=args.outage, plain=args.plain, detach=True).up()
    kind = "" if hosts.namespaces else f" (plain sshd: {hosts.why_plain})"
    print(f"{len(hosts)} hosts are up{kind}; inventory: {hosts.inventory()}")


def status(hosts: Hosts) -> int:
    """One line per host."""
    for host in hosts:
        state = "up" if host.is_up else "down"
        boots = f"boots={host.boots} boot_id={host.boot_id}" if hosts.namespaces else ""
        spec = host.spec
        kind = f"sh={spec.sh} sudo={spec.sudo} python={'yes' if spec.python else 'no'}"
        print(f"{host.name:8} {host.address}:{host.port:<6} {state:5} {kind} {boots}".rstrip())
    return 0 if all(host.is_up for host in hosts) else 1


def run(args: argparse.Namespace) -> int:
    """Do one command."""
    if args.command == "up":
        up(args)
        return 0
    hosts = Hosts.attach(args.dir)
    words = [word for word in getattr(args, "words", []) if word != "--"] or ["/bin/sh"]
    code = 0
    if args.command == "down":
        hosts.down()
    elif args.command == "status":
        code = status(hosts)
    elif args.command == "inventory":
        path = hosts.inventory(user=args.user, become=args.become, become_user=args.become_user)
        print(path.read_text() if args.show else path)
    elif args.command == "exec":
        command, env = hosts[args.host].exec_command(" ".join(words), user=args.user or "root")
        code = subprocess.run(command, env=env, check=False).returncode
    elif args.command == "ssh":
        command = hosts[args.host].ssh_command("-t" if os.isatty(0) else "-T", user=args.user)
        code = subprocess.run([*command, *words], check=False).returncode
    elif args.command == "controller":
        code = subprocess.run([*hosts.controller_prefix, *words], check=False).returncode
    else:
        getattr(hosts[args.host], args.command.replace("-", "_"))()
    return code


def main() -> int:
    """Entry point."""
    try:
        return run(parser().parse_args())
    except KeyError as error:
        print(f"no such host: {error}", file=sys.stderr)
    except (HostsError, ValueError) as error:
        print(error, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
