"""A store that cannot be opened: the message says what to do."""

from __future__ import annotations

import pytest

from ansible_env.errors import StoreError
from ansible_env.storage.store import Store


@pytest.mark.parametrize("content", [None, b"garbage" * 9, b"SQLite format 3\0xx"], ids=["directory", "other", "cut"])
def test_the_message_says_what_to_do(tmp_path, content):
    path = tmp_path / "store"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"name another one with --store or \$ANSIBLE_ENV_STORE"):
        Store(path)
