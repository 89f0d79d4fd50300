"""Secrets in text, however they are written."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from ansible_env.results.masking import MASK, Secrets

SECRET = "s3cr3t-tok/en"


def test_a_secret_and_its_forms() -> None:
    secrets = Secrets([SECRET, 'with "quotes"'])
    assert secrets.hide(f"a {SECRET} b") == f"a {MASK} b"
    assert secrets.hide('{"x": "with \\"quotes\\""}') == f'{{"x": "{MASK}"}}'
    assert secrets.hide("nothing") == "nothing"
    assert secrets.hide_in({SECRET: [SECRET, 1]}) == {MASK: [MASK, 1]}


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_base64_of_a_text_that_contains_it(before: bytes, after: bytes) -> None:
    """As the header of a basic authentication has it. What remains decides no byte of the secret."""
    encoded = base64.b64encode(before + SECRET.encode() + after).decode()
    hidden = Secrets([SECRET]).hide(f"Authorization: Basic {encoded}")
    assert MASK in hidden
    left = hidden.removeprefix("Authorization: Basic ").split(MASK)
    assert sum(map(len, left)) <= len(encoded) - (len(SECRET) * 8 // 6 - 2)
