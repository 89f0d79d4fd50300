"""Tunables as mlos_bench has them. The tables were observed by running mlos_bench 0.6.2 on the same inputs."""

from __future__ import annotations

import math
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.config.schema import json_schema
from ansible_env.config.tunables import Tunable, TunableGroups
from ansible_env.errors import ConfigError, ParameterError

INT: dict[str, Any] = {"type": "int", "range": [0, 10], "default": 1, "special": [-1]}
FLOAT: dict[str, Any] = {"type": "float", "range": [0, 10], "default": 1}
CATEGORICAL: dict[str, Any] = {"type": "categorical", "values": ["a", True, 1, 1.5], "default": "a"}
REFUSED = object()


class FromOptimizer(float):
    """Stands for the numpy scalars that optimizers give."""


@pytest.mark.parametrize(
    ("definition", "value", "expected"),
    [
        (INT, 3, 3),
        (INT, "3", 3),
        (INT, " 3 ", 3),
        (INT, "1_0", 10),
        (INT, "3.0", REFUSED),
        (INT, 3.0, 3),
        (INT, 3.5, REFUSED),
        (INT, FromOptimizer(3.5), REFUSED),
        (INT, FromOptimizer(3.0), 3),
        (INT, True, 1),
        (INT, -1, -1),
        (INT, "-1", -1),
        (INT, -2, REFUSED),
        (INT, 11, REFUSED),
        (INT, None, REFUSED),
        (INT, "x", REFUSED),
        (INT, math.nan, REFUSED),
        (INT, math.inf, REFUSED),
        (INT, "9" * 5000, REFUSED),
        (INT, [3], REFUSED),
        (INT, b"3", REFUSED),  # mlos_bench takes it
        (FLOAT, 3, 3.0),
        (FLOAT, "3", 3.0),
        (FLOAT, "1e0", 1.0),
        (FLOAT, 10.5, REFUSED),
        (FLOAT, math.nan, REFUSED),
        (FLOAT, None, REFUSED),
        (FLOAT, True, 1.0),
        (CATEGORICAL, "a", "a"),
        (CATEGORICAL, True, "True"),
        (CATEGORICAL, "True", "True"),
        (CATEGORICAL, "true", REFUSED),
        (CATEGORICAL, 1, "1"),
        (CATEGORICAL, "1", "1"),
        (CATEGORICAL, 1.0, REFUSED),
        (CATEGORICAL, 1.5, "1.5"),
        (CATEGORICAL, None, REFUSED),
    ],
)
def test_values(definition, value, expected):
    tunable = Tunable.from_mapping("t", definition)
    if expected is REFUSED:
        with pytest.raises(ParameterError, match=r"^t: "):
            tunable.validate(value)
    else:
        result = tunable.validate(value)
        assert (result, type(result)) == (expected, type(expected))


def test_a_refusal_says_what_would_be_right():
    with pytest.raises(ParameterError) as caught:
        Tunable.from_mapping("cache", INT).validate(11)
    assert str(caught.value) == "cache: 11 is not a whole number from 0 to 10, or special: -1"
    with pytest.raises(ParameterError) as caught:
        Tunable.from_mapping("mode", CATEGORICAL).validate("b")
    assert str(caught.value) == "mode: 'b' is not one of 'a', 'True', '1', '1.5'"


DEFINITIONS: list[tuple[dict[str, Any], str | None]] = [
    (INT, None),
    (FLOAT, None),
    (CATEGORICAL, None),
    ({"type": "int", "range": [0, 1], "default": 5, "special": [5]}, None),
    ({"type": "int", "range": [0, 5], "default": 3.0}, None),
    ({"type": "int", "range": [0, 5], "default": 0, "special": ["AUTO", None, 7]}, None),
    (
        {"type": "int", "range": [0, 5], "default": 0, "special": [0], "special_weights": [0.1], "range_weight": 0.9},
        None,
    ),
    ({"type": "float", "range": [0, 1], "default": 0, "distribution": {"type": "uniform"}}, None),
    ({**FLOAT, "distribution": {"type": "beta", "params": {"alpha": 1, "beta": 2}}, "quantization_bins": 5}, None),
    ({**CATEGORICAL, "values_weights": [1, 2, 3, 4], "meta": {"unit": "MB", "l": [1, None]}, "description": "d"}, None),
    ({**INT, "log": True}, None),
    ({"type": "int", "range": [0, 1]}, ""),
    ({"range": [0, 1], "default": 0}, ""),
    ({"type": "integer", "range": [0, 1], "default": 0}, "type"),
    ({"type": "int", "range": [1, 1], "default": 1}, "range"),
    ({"type": "int", "range": [0, True], "default": 0}, "range[1]"),
    ({"type": "int", "range": [0.5, 1], "default": 1}, "range[0]"),
    ({"type": "int", "range": [0], "default": 0}, "range"),
    ({"type": "int", "range": [0, 1], "default": 0, "special": {"5": 1}}, "special"),
    ({"type": "float", "range": [0, 1], "default": 0, "special": []}, "special"),
    ({"type": "int", "range": [0, 1], "default": 0, "quantization": 1}, "quantization"),
    ({"type": "int", "range": [0, 1], "default": 0, "quantization_bins": 1}, "quantization_bins"),
    ({"type": "int", "range": [0, 1], "default": 0, "values": ["a"]}, "values"),
    ({"type": "categorical", "values": ["a", None], "default": "a"}, "values[1]"),
    ({"type": "categorical", "values": [], "default": "a"}, "values"),
    ({"type": "categorical", "values": ["a"], "default": "a", "log": False}, "log"),
    ({"type": "categorical", "values": ["a"], "default": "a", "range": [0, 1]}, "range"),
    ({"type": "categorical", "values": ["a"], "default": None}, "default"),
    ({"type": "float", "range": [0, 1], "default": 0, "distribution": {"type": "normal"}}, "distribution.params"),
    ({"type": "float", "range": [0, 1], "default": 0, "distribution": {"type": "norm"}}, "distribution.type"),
    ({"type": "float", "range": [0, 1], "default": 0, "meta": {"a": {"b": 1}}}, "meta.a"),
    ({**INT, "descripton": "d"}, "descripton"),
]
BEYOND_THE_SCHEMA: list[tuple[dict[str, Any], str]] = [
    # What mlos_bench's own schema lets through, and its Tunable refuses.
    ({"type": "int", "range": [0, 1], "default": 5}, "default"),
    ({"type": "int", "range": [2, 1], "default": 1}, "range"),
    ({"type": "categorical", "values": ["a"], "default": "b"}, "default"),
    ({"type": "categorical", "values": ["1", 1], "default": "1"}, "values[1]"),
    ({"type": "int", "range": [0, 5], "default": 0, "special": [0], "special_weights": [0.1]}, ""),
    ({"type": "int", "range": [0, 5], "default": 0, "range_weight": 0.5}, ""),
    ({**CATEGORICAL, "values_weights": [1]}, "values_weights"),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "where"), DEFINITIONS + BEYOND_THE_SCHEMA)
def test_definitions(definition, where):
    data = {"g": {"cost": 1, "params": {"t": definition}}}
    if where is None:
        assert TunableGroups.from_mapping(data).tunables["t"].definition == definition
        return
    with pytest.raises(ConfigError) as caught:
        TunableGroups.from_mapping(data)
    (problem,) = caught.value.problems
    assert problem.key == ("g.params.t." + where).rstrip(".")


@pytest.mark.parametrize(("definition", "where"), DEFINITIONS)
def test_the_json_schema_says_the_same(definition, where):
    schema = json_schema()
    data = {"name": "x", "tunables": {"g": {"cost": 1, "params": {"t": definition}}}}
    assert jsonschema.Draft202012Validator(schema).is_valid(data) is (where is None)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        ({"g": {"params": {"t": INT}}}, ["g"]),
        ({"g": {"cost": 1}}, ["g"]),
        ({"g": {"cost": 1, "params": {}}}, ["g.params"]),
        ({"g": {"cost": True, "params": {"t": INT}}}, ["g.cost"]),
        ({"g": {"cost": 1, "params": {"t": INT}, "parms": 1}}, ["g.parms"]),
        ({"$g": {"cost": 1, "params": {"t": INT}}}, ["$g"]),
        ({"g": 3}, ["g"]),
        ({"g": {"cost": 1, "params": {"a!b": INT}}}, ["g.params.a!b"]),
        ({"g": {"cost": 1, "params": {"t": INT}}, "h": {"cost": 1, "params": {"t": INT}}}, ["h.params.t"]),
        ({"g": {"params": {"t": {"type": "int", "default": 1.5}}}}, ["g", "g.params.t.default", "g.params.t"]),
    ],
)
def test_groups_that_are_refused(data, keys):
    with pytest.raises(ConfigError) as caught:
        TunableGroups.from_mapping(data)
    assert [problem.key for problem in caught.value.problems] == keys


@pytest.mark.parametrize(
    ("text", "hint"), [("5", "write 5.0"), ("1e-3", "write 0.001"), ("1e-9", "1.0e-9"), ("x", None)]
)
def test_a_number_that_yaml_read_as_text(text, hint):
    with pytest.raises(ConfigError) as caught:
        Tunable.from_mapping("t", {"type": "float", "range": [0, text], "default": 0})
    found = caught.value.problems[0].hint
    assert (hint is None and found is None) or (hint and found and hint in found)


GROUPS = TunableGroups.from_mapping(
    {
        "$schema": "ignored",
        "sqlite": {"cost": 2, "params": {"cache_size": INT, "mode": CATEGORICAL}},
        "kernel": {"cost": 9.5, "params": {"swappiness": FLOAT}},
    }
)


def test_groups():
    assert [tunable.name for tunable in GROUPS] == ["cache_size", "mode", "swappiness"]
    assert GROUPS.defaults() == {"cache_size": 1, "mode": "a", "swappiness": 1.0}
    assert GROUPS.group_of("mode") == "sqlite"
    assert GROUPS.select(["kernel"]).defaults() == {"swappiness": 1.0}
    with pytest.raises(ParameterError, match=r"no group of tunables 'sqlit'.*did you mean 'sqlite'"):
        GROUPS.select(["sqlit"])


def test_assign():
    assert GROUPS.assign() == GROUPS.assign({}) == GROUPS.defaults()
    assert GROUPS.assign({"cache_size": "7", "mode": True}) == {"cache_size": 7, "mode": "True", "swappiness": 1.0}
    assert GROUPS.defaults()["cache_size"] == 1, "one trial's values leave nothing behind"
    with pytest.raises(ParameterError) as caught:
        GROUPS.assign({"cachesize": 1, "mode": "z", "swappiness": 1})
    assert [(p.key, p.hint) for p in caught.value.problems] == [
        ("cachesize", "did you mean 'cache_size'?"),
        ("mode", None),
    ]


class MlosTunable:
    """The attributes of `mlos_bench.tunables.tunable.Tunable` that are used."""

    name, type, default, range, special = "cache_size", "int", 1, (0, 10), [-1]


class MlosGroup:
    name, cost = "sqlite", 2


class MlosTunableGroups:
    """`mlos_bench.tunables.TunableGroups`: iterates over pairs, and tells the current values."""

    def __iter__(self):
        return iter([(MlosTunable(), MlosGroup())])

    def get_param_values(self):
        return {"cache_size": 7, "of_another_environment": 3}


def test_mlos_tunable_groups():
    theirs = MlosTunableGroups()
    groups = TunableGroups.from_mlos(theirs)
    assert groups.assign(theirs) == {"cache_size": 7}
    assert groups.tunables["cache_size"].validate(-1) == -1
    assert GROUPS.assign(theirs)["cache_size"] == 7


def test_merge_takes_equal_groups_once_and_refuses_others():
    """`TunableGroups.merge`: a group in both must agree in names, types and defaults."""

    def group(default: int, name: str = "g", tunable: str = "t") -> TunableGroups:
        return TunableGroups.from_mapping({name: {"cost": 1, "params": {tunable: {**INT, "default": default}}}})

    assert set(group(1).merge(group(1)).groups) == {"g"}
    assert set(group(1).merge(group(2, "h", "u")).groups) == {"g", "h"}
    with pytest.raises(ParameterError, match="has two different definitions"):
        group(1).merge(group(2))
    with pytest.raises(ParameterError, match="the group 'g' has a tunable of this name"):
        group(1).merge(group(1, "h"))


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans(), st.binary(), st.lists(st.integers())))
def test_a_value_is_in_range_or_refused(value):
    """Whatever is given: a value of the tunable's own type within its range, or ParameterError."""
    for tunable in GROUPS:
        try:
            result = tunable.validate(value)
        except ParameterError:
            continue
        if tunable.type == "categorical":
            assert result in tunable.values
        else:
            assert not isinstance(result, str)
            assert 0 <= result <= 10 or result == -1
