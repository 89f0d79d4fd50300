"""Requests to the fork server, as they are received."""

from __future__ import annotations

import array
import os
import socket
from dataclasses import dataclass

LARGEST = 16 * 1024 * 1024


def process_name(run: str) -> str:
    """Return the name (comm, 15 bytes) of the processes of a run: in /proc, they have the server's environment."""
    return f"ae-{run[:12]}"


class RequestError(Exception):
    """A request is cut short, or is not one."""


@dataclass(frozen=True, slots=True)
class Request:
    """A process to be started: its arguments, environment, directory, and standard input, output and error."""

    arguments: list[str]
    environ: dict[str, str]
    cwd: str
    fds: tuple[int, ...]


def receive(connection: socket.socket) -> Request:
    """Read one request, with the three descriptors that come with it.

    Raises:
        RequestError: it is not one.
    """
    connection.settimeout(10)
    fds: list[int] = []
    try:
        head = _read(connection, 4, fds)
        size = int.from_bytes(head, "big")
        if size > LARGEST:
            raise RequestError(f"{size} bytes")
        body = _read(connection, size, fds)
        if len(fds) != 3:
            raise RequestError(f"{len(fds)} descriptors")
        arguments, variables, cwd = unpack(body)
        environ = dict(os.fsdecode(item).partition("=")[::2] for item in unpack(variables))
        connection.settimeout(None)
        return Request([os.fsdecode(item) for item in unpack(arguments)], environ, os.fsdecode(cwd), tuple(fds))
    except (OSError, ValueError, RequestError):
        for fd in fds:
            os.close(fd)
        raise


def unpack(data: bytes) -> list[bytes]:
    """Return the items that the client packed."""
    items = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise RequestError("cut short")
        items.append(data[4 : 4 + size])
        data = data[4 + size :]
    return items


def _read(connection: socket.socket, size: int, fds: list[int]) -> bytes:
    data = b""
    room = array.array("i")
    while len(data) < size:
        piece, ancillary, _, _ = connection.recvmsg(size - len(data), socket.CMSG_LEN(3 * room.itemsize))
        for level, kind, rights in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(rights[: len(rights) - len(rights) % room.itemsize])
                fds += received
        if not piece:
            raise RequestError("cut short")
        data += piece
    return data
