"""Text and numbers for a terminal."""

import pytest

from ansible_env.report.formatting import duration, number, visible, visible_line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-1234.5678, "-1,234.6"),
        (12345.678901, "12,346"),
        (0.000123456, "0.00012346"),
        (1.5e-9, "1.5e-09"),
        (2e20, "2e+20"),
        (9.36, "9.36"),
        (100.0, "100"),
        (float("nan"), "nan"),
        (True, "true"),
        (None, "-"),
        ("a\x1b[31mb", "ab"),
        (10**400, None),
    ],
)
def test_number(value, text):
    if text is None:
        assert number(value)
    else:
        assert number(value) == text


def test_visible_leaves_no_control_character():
    every = "".join(map(chr, [*range(0x300), *range(0x2000, 0x2070), 0xD800, 0xFEFF]))
    shown = visible(every)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0x2028 <= ord(c) <= 0x202E for c in shown)
    assert visible("a\x00b\x7f") == "a\u2400b\u2421"
    assert visible("gr\u00fc\u00dfe \u2713 \U0001f600") == "gr\u00fc\u00dfe \u2713 \U0001f600"


def test_visible_takes_linear_time():
    assert len(visible("\x1b]" * 200_000)) <= 200_000 * 2
    assert visible_line("10%\r50%\r100%\r") == "100%"


def test_duration():
    assert [duration(s) for s in (None, 1.234, 65, 600, 4000)] == ["-", "1.23 s", "65.0 s", "10 min 0 s", "1 h 6 min"]
