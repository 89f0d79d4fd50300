"""A TCP proxy that delays what passes, for a round trip time that loopback does not have."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """Give a port behind which is the other one, half of `seconds` away in each direction."""
    ready = threading.Event()
    made: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        server = await asyncio.start_server(lambda *near: _connect(*near, port, seconds / 2), "127.0.0.1", 0)
        made.append((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
        ready.set()
        async with server:
            await stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait(10)
    (own, loop, stop) = made[0]
    try:
        yield own
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, delay: float) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await asyncio.gather(_pump(reader, far_writer, delay), _pump(far_reader, writer, delay))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(65536):
        loop.call_later(delay, writer.write, data)
    await asyncio.sleep(delay)
    writer.close()
