"""What a host must be before a script is started there: `require` of the environment file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_env.results.assertions import Assertion, AssertionSyntaxError, RuleSyntaxError, parse_assertion

COMMANDS = "commands"
"""The key of the programs that must exist."""

FACTS: Mapping[str, str] = {
    "governor": "echo {} >FILE for each /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "boost": "echo {} >/sys/devices/system/cpu/cpufreq/boost",
    "no_turbo": "echo {} >/sys/devices/system/cpu/intel_pstate/no_turbo",
    "smt": "echo {} >/sys/devices/system/cpu/smt/control",
    "load_1m": "wait, or end what runs there",
    "memory_available_mib": "end what uses the memory there",
    "disk_free_mib": "free space in the file system of the run directory",
    "clock_offset_s": "run an NTP client there",
    "swap_kib": "swapoff -a",
    "cpus": "",
    "memory_kib": "",
    "kernel": "",
    "machine": "",
    "os": "",
    "cpu": "",
    "clocksource": "echo {} >/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "virtual": "",
}
"""The facts that can be required, and how each is changed on the host; `{}` is the value that it must have."""


class RequirementSyntaxError(RuleSyntaxError):
    """A value is no requirement."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one fact must be."""

    fact: str
    wanted: str | float
    """A value, or a comparison such as `< 0.5`."""
    comparison: Assertion | None = None

    def is_met(self, value: Any) -> bool:
        """Whether the value of a host meets the requirement. None, for a fact that is not known there, does not."""
        if self.comparison is None:
            return value is not None and str(value) == str(self.wanted)
        try:
            return self.comparison.holds(float(value))
        except (TypeError, ValueError):
            return False

    def describe(self, value: Any) -> str:
        """Return what is, and what should be."""
        known = f"{self.fact} is {value}" if value is not None else f"{self.fact} is not known on the host"
        return f"{known}, and must be {self.wanted}"

    @property
    def remedy(self) -> str:
        """How it is changed on the host; empty if it cannot be."""
        text = FACTS[self.fact]
        return text.replace("{}", str(self.wanted)) if self.comparison is None or "{}" not in text else ""


@dataclass(frozen=True, slots=True)
class HostRules:
    """What a host must be before a script is started there."""

    requirements: Sequence[Requirement] = ()
    commands: Sequence[str] = ()
    """Programs that must exist."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> HostRules:
        """Return the rules of plain data: facts to values or comparisons, and `commands`.

        Raises:
            RequirementSyntaxError: a fact is unknown, or a value is no requirement.
        """
        requirements = [parse_requirement(fact, value) for fact, value in data.items() if fact != COMMANDS]
        return cls(tuple(requirements), tuple(parse_commands(data.get(COMMANDS, []))))

    def __bool__(self) -> bool:
        return bool(self.requirements or self.commands)

    @property
    def facts(self) -> list[str]:
        """The names of the facts that the rules are about."""
        return [requirement.fact for requirement in self.requirements]

    def findings(self, facts: Mapping[str, Any]) -> Iterator[tuple[bool, str, str]]:
        """Yield for each rule whether the facts of a host meet it, what is and should be, and the remedy."""
        for requirement in self.requirements:
            value = facts.get(requirement.fact)
            yield requirement.is_met(value), requirement.describe(value), requirement.remedy
        for command in self.commands:
            found = bool(facts.get(f"command {command}"))
            yield found, f"{command} is {'' if found else 'not '}installed", f"install {command} there"

    def problem(self, facts: Mapping[str, Any]) -> str:
        """Return the message for a host whose facts do not meet the rules; empty if they do."""
        bad = [(text, remedy) for met, text, remedy in self.findings(facts) if not met]
        return "; ".join(f"{text} (do: {remedy})" if remedy else text for text, remedy in bad)

    def to_plain(self) -> dict[str, Any]:
        """Return the data that `parse` reads."""
        data: dict[str, Any] = {requirement.fact: requirement.wanted for requirement in self.requirements}
        return {**data, COMMANDS: list(self.commands)} if self.commands else data


def parse_requirement(fact: str, value: Any) -> Requirement:
    """Parse what a fact must be.

    Raises:
        RequirementSyntaxError: the fact is unknown, or the value is no requirement.
    """
    if fact not in FACTS:
        raise RequirementSyntaxError(f"{fact!r} is not a known fact", f"known: {', '.join(FACTS)}, {COMMANDS}")
    if isinstance(value, bool):
        hint = "quote it: YAML reads on, off, yes and no as truth values"
        raise RequirementSyntaxError("must be a text or a number", hint)
    if isinstance(value, int | float):
        return Requirement(fact, value)
    if not isinstance(value, str) or not value.strip():
        raise RequirementSyntaxError("must be a value, or a comparison such as '< 0.5'")
    text = value.strip()
    if text[0] not in "<>=!":
        return Requirement(fact, text)
    try:
        comparison = parse_assertion(fact, text).without_baseline()
    except AssertionSyntaxError as error:
        raise RequirementSyntaxError(str(error)) from None
    return Requirement(fact, comparison.text, comparison)


def parse_commands(value: Any) -> Iterable[str]:
    """Return the names of programs. Raise RequirementSyntaxError if it is not a list of names."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name.strip() for name in value):
        raise RequirementSyntaxError(f"{COMMANDS} must be a list of names of programs")
    return value
