"""Stands in for ansible-playbook: hands its arguments, environment, directory and terminal to the fork server.

Run as `python -I -S client.py SOCKET PROGRAM ARGUMENTS…`. Only built-in modules: a start costs a few milliseconds.
ansible-runner's runs do without even that: see engine/terminal.py.
"""

import _socket
import os
import sys

NOT_STARTED = 213
"""Exit status that says that nothing was run, so that it may be run in another way."""
NOT_REHEARSED = "phases are not rehearsed"
"""How a line in the server's log begins that says why no processes are kept ready."""
SCM_RIGHTS, SOL_SOCKET = _socket.SCM_RIGHTS, _socket.SOL_SOCKET


def command(socket: str, program: str) -> list[str]:
    """Return the command that stands in for a program."""
    return [sys.executable, "-I", "-S", __file__, socket, program]


def asked(arguments: list[str]) -> "tuple[str, list[str]] | None":
    """Return the socket, and the command to be run, if these are the arguments of a client."""
    start = command("", "")[1:4]
    return (arguments[4], arguments[5:]) if arguments[1:4] == start else None


def pack(items: list[bytes]) -> bytes:
    """Return the items, each with its length before it."""
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


def request(path: str, arguments: list[str], environ: dict[bytes, bytes], cwd: str, fds: list[int]) -> "_socket.socket":
    """Send one request; the connection stays open for as long as the process lives."""
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


def word(connection: "_socket.socket") -> int:
    """Return the next number that the server says: the pid of the process, then its wait status; -1 if it is gone."""
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
    """Be the process that we stand in for, as far as a parent can see."""
    try:
        connection = request(sys.argv[1], sys.argv[2:], dict(os.environb), os.getcwd(), [0, 1, 2])  # noqa: PTH109 - pathlib is not built in
    except OSError as error:
        os.write(2, f"ERROR! the fork server does not answer: {error}\n".encode())
        os._exit(NOT_STARTED)
    if word(connection) < 0:
        os.write(2, b"ERROR! the fork server ended before the process was started\n")
        os._exit(NOT_STARTED)
    status = word(connection)
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
