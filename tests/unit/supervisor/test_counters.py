"""What else a host did while a script ran, from two readings of the kernel's counters."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_env.results.disturbance import LIMITS, DisturbanceLimits, DisturbanceSyntaxError, used_by, worst_of
from ansible_env.supervisor.counters import Counters, disturbance, resources
from tests.unit.supervisor.pipes import Target, make_target

BEFORE = Counters(*[100.0] * len(dataclasses.fields(Counters)))


def after(**more: float) -> Counters:
    """Ten seconds later; so much more of each."""
    spent = {name: getattr(BEFORE, name) + value for name, value in {"uptime": 10.0, **more}.items()}
    return dataclasses.replace(BEFORE, **spent)


@pytest.fixture(params=["dash", "dash without perl", "busybox"])
def target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path, tmp_path_factory)


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ({"busy": 1500, "own_user": 9e6, "own_system": 1e6}, "foreign_cpu_percent", 50),
        ({"busy": 900, "own_user": 9e6, "own_system": 1e6}, "foreign_cpu_percent", 0),
        ({"total": 4000, "steal": 200}, "steal_percent", 5),
        ({"read": 1024 * 300, "written": 1024 * 100, "own_read": 2**20 * 100}, "foreign_io_mib_per_s", 30),
        ({"pressure_io": 2e6}, "pressure_io_percent", 20),
        ({"swapped_in": 512}, "swapped_in_mib", 2),
        ({"oom_kills": 1}, "oom_kills", 1),
        ({"throttled": 3}, "throttled", 3),
    ],
)
def test_disturbance(more: dict[str, float], name: str, value: float) -> None:
    assert disturbance(BEFORE, after(**more))[name] == value


def test_a_clock_that_was_set_and_a_script_that_is_too_short() -> None:
    assert disturbance(BEFORE, after(), -7.0)["clock_step_s"] == 7
    assert disturbance(BEFORE, after(uptime=0.5, busy=50)) == {}
    assert disturbance(None, after()) == disturbance(BEFORE, None) == resources(None, None) == {}


def test_what_is_not_known_is_left_out() -> None:
    words = ["1", *["-"] * (len(dataclasses.fields(Counters)) - 1)]
    little = Counters.of_text(",".join(words))
    assert little is not None
    assert disturbance(little, dataclasses.replace(little, uptime=11.0)) == {}
    assert Counters.of_text("") is None
    assert Counters.of_text(",".join(["x", *words[1:]])) is None


def test_limits() -> None:
    found = {"foreign_cpu_percent": 98.2, "steal_percent": 0.1, "pressure_cpu_percent": 90.0}
    assert DisturbanceLimits().reason(found) == "foreign_cpu_percent is 98.2 (> 25)"
    assert DisturbanceLimits.parse({"foreign_cpu_percent": False}).reason(found) == ""
    own = DisturbanceLimits.parse({"foreign_cpu_percent": "off", "pressure_cpu_percent": ">50"})
    assert own.reason(found).startswith("pressure_cpu_percent is 90")
    for bad in ({"foreign": "> 5"}, {"steal_percent": 5}, {"steal_percent": "many"}):
        with pytest.raises(DisturbanceSyntaxError):
            DisturbanceLimits.parse(bad)


def test_several_scripts() -> None:
    assert worst_of([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 3.0, "b": 2.0}
    assert used_by([{"cpu_user_s": 1.0, "max_rss_bytes": 5.0}, {"cpu_user_s": 2.0, "max_rss_bytes": 3.0}]) == {
        "cpu_user_s": 3.0,
        "max_rss_bytes": 5.0,
    }


BURN = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"


def test_what_a_script_uses(target: Target) -> None:
    """Its children's, too; and with Perl that of one that it did not wait for, and that had left its session."""
    reply = target.run(f"({BURN}); wait")
    used = resources(reply.before, reply.after)
    assert used["cpu_user_s"] + used["cpu_system_s"] > 0.05
    if "max_rss_bytes" not in used:
        return
    assert 2**18 < used["max_rss_bytes"] < 2**30
    reply = target.run(f"setsid sh -c '{BURN}; echo done >burnt' & until [ -e burnt ]; do sleep 0.05; done; exit 0")
    assert resources(reply.before, reply.after)["cpu_user_s"] > 0.05


def test_the_reference_names_all_that_is_measured() -> None:
    page = Path("docs/howto/trustworthy-numbers.md").read_text()
    assert not [name for name in LIMITS if f"`{name}`" not in page]
