"""Starts a program of Ansible by the fork server: sends it arguments, environment, directory and terminal.

Run as `python -I -S client.py SOCKET PROGRAM ARGUMENTS…`. It imports built-in modules only, so that its start takes a
few milliseconds. For ansible-runner's runs engine/terminal.py sends the request, and no client is started.
"""

import _socket
import os
import sys

NOT_STARTED = 213
"""Exit status that means that nothing was run, so another way can be tried."""
NOT_PREPARED = "no processes are prepared"
"""The beginning of the line in the server's log with the reason why it prepares no processes."""
NOT_PATCHED = "a patch of Ansible is left out"
"""The beginning of the line in the server's log with such a patch and the reason."""
SCM_RIGHTS, SOL_SOCKET = _socket.SCM_RIGHTS, _socket.SOL_SOCKET


def command(socket: str, program: str) -> list[str]:
    """Return the command that runs a program by the fork server."""
    return [sys.executable, "-I", "-S", __file__, socket, program]


def parse(arguments: list[str]) -> "tuple[str, list[str]] | None":
    """Return the socket and the command to be run, if these are the arguments of a client."""
    start = command("", "")[1:4]
    return (arguments[4], arguments[5:]) if arguments[1:4] == start else None


def pack(items: list[bytes]) -> bytes:
    """Return the items, each with its length before it."""
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


def request(path: str, arguments: list[str], environ: dict[bytes, bytes], cwd: str, fds: list[int]) -> "_socket.socket":
    """Send one request; the connection stays open as long as the process lives."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(path)
    send(connection, arguments, environ, cwd, fds)
    return connection


def send(
    connection: "_socket.socket", arguments: list[str], environ: dict[bytes, bytes], cwd: str, fds: list[int]
) -> None:
    """Send what makes a process, with its standard input, output and error."""
    variables = pack([name + b"=" + value for name, value in environ.items()])
    body = pack([pack([os.fsencode(item) for item in arguments]), variables, os.fsencode(cwd)])
    rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    message = len(body).to_bytes(4, "big") + body
    sent = connection.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, rights)])
    while sent < len(message):
        sent += connection.send(message[sent:])


def receive(connection: "_socket.socket") -> int:
    """Return the next number that the server sends: the pid of the process, then its wait status; -1 if it is gone."""
    data = b""
    while len(data) < 4:
        try:
            piece = connection.recv(4 - len(data))
        except OSError:
            return -1
        if not piece:
            return -1
        data += piece
    return int.from_bytes(data, "big")


def main() -> None:
    """Send the request, and end as the process ends."""
    try:
        connection = request(sys.argv[1], sys.argv[2:], dict(os.environb), os.getcwd(), [0, 1, 2])  # noqa: PTH109 - pathlib is not built in
    except OSError as error:
        os.write(2, f"ERROR! the fork server does not answer: {error}\n".encode())
        os._exit(NOT_STARTED)
    if receive(connection) < 0:
        os.write(2, b"ERROR! the fork server ended before the process was started\n")
        os._exit(NOT_STARTED)
    status = receive(connection)
    if status < 0:
        os.write(2, b"ERROR! the fork server has ended\n")
        os._exit(250)
    if os.WIFSIGNALED(status):
        import signal  # here: it costs a few milliseconds, and is rarely needed

        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
