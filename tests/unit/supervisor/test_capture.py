"""The output of a script on a controller whose disk is full."""

from __future__ import annotations

import errno

import pytest

from ansible_env.supervisor import capture
from ansible_env.supervisor.capture import Capture, Stream, log_path


class Full:
    """A file that takes only some bytes more."""

    def __init__(self, file, room):
        self._file, self.room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: self.room]
        self.room -= len(part)
        return self._file.write(part)


@pytest.mark.parametrize("room", [0, 1, 7, 8, 100])
def test_no_output_is_lost_on_a_full_disk(tmp_path, room):
    (tmp_path / "h.stdout").write_bytes(b"of an earlier attempt\n")
    stream = Stream(tmp_path / "h.stdout", ["secret"])
    stream._file = Full(stream._file, room)
    for data in (b"a=1\nsec", b"ret\nb=", b"2\n"):
        stream.write(data)
    stream.close()
    assert "".join(stream.pieces()) == "a=1\n********\nb=2\n"
    assert stream.excerpt() == ("a=1\n********\nb=2\n", False)
    assert stream.size == 17
    assert (stream.path is None) == (room < 17)


def test_a_log_that_cannot_be_created_or_written(tmp_path):
    log_path(tmp_path, "h", "stderr").symlink_to("/dev/full")
    for directory in (tmp_path / "none", tmp_path):
        streams = Capture(directory, "h")
        streams.write(b"out", b"err")
        streams.close()
        assert ("".join(streams.out.pieces()), "".join(streams.err.pieces())) == ("out", "err")


def test_the_memory_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "MOST_IN_MEMORY", 10)
    stream = Stream(tmp_path / "none" / "log", [])
    for _ in range(100):
        stream.write(b"12345678")
    assert stream.size <= 20
