"""Secrets in a script's output are masked, in whatever pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.results.masking import MASK as TEXT
from ansible_env.supervisor.capture import Masker

MASK = TEXT.encode()

M = MASK.decode()


def masked(secrets: list[str], pieces: list[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.feed(b"", last=True)])


@pytest.mark.parametrize(
    ("secrets", "pieces", "shown"),
    [
        (["s3cr3t"], ["a s3cr3t b"], f"a {M} b"),
        (["s3cr3t"], ["a s3c", "r3", "t b"], f"a {M} b"),
        (["s3cr3t"], ["a s3c", "r3x b"], "a s3cr3x b"),
        (["s3cr3t"], ["s3cr3", "s3cr3t"], f"s3cr3{M}"),
        (["s3cr3t"], ["s3cr3"], "s3cr3"),
        (["abc", "abcdef"], ["x abc", "def y"], f"x {M} y"),
        (["abc", "abcdef"], ["x abc", "dxf y"], f"x {M}dxf y"),
        (["xab", "abq"], ["xab", "q"], f"{M}q"),
        (["two\nlines"], ["two\n", "lines"], M),
        (["é"], ["é"], M),
        ([""], ["nothing"], "nothing"),
        ([], ["nothing"], "nothing"),
    ],
)
def test_masked(secrets: list[str], pieces: list[str], shown: str) -> None:
    assert masked(secrets, [piece.encode() for piece in pieces]).decode() == shown


@given(
    secrets=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3),
    pieces=st.lists(st.binary(max_size=8) | st.text("ab", max_size=8).map(str.encode), max_size=8),
)
def test_pieces_make_no_difference(secrets: list[str], pieces: list[bytes]) -> None:
    whole = masked(secrets, [b"".join(pieces)])
    assert masked(secrets, pieces) == whole
    assert not any(secret.encode() in part for part in whole.split(MASK) for secret in secrets)
