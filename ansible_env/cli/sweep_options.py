"""The options of `sweep`."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_env.cli.options import HOSTS, PARAMETERS, RESULTS, Judged, option


@dataclass(kw_only=True)
class SweepOptions(Judged):
    """Options of `sweep`."""

    grid: list[str] | None = option(
        "--grid NAME=V1,V2", "Values of a parameter. Repeatable: every combination is a configuration.", PARAMETERS
    )
    repeat: int = option("--repeat N", "Trials per configuration.", PARAMETERS, default=1, min=1)
    seed: int | None = option("--seed N", "Seed of the order. Default: a new one each time.", PARAMETERS)
    calibrate: bool = option(
        "--calibrate", "Run one configuration on every host, and compare the hosts.", PARAMETERS, default=False
    )
    best: str | None = option(
        "--best METRIC:max|min", "Mark the best row. Default: score:max, if there is a score.", RESULTS
    )
    hosts_per_trial: str = option(
        "--hosts-per-trial N", "Hosts of each trial; or of each pattern, such as db=1,load=2.", HOSTS, default="1"
    )
    resume: bool = option(
        "--resume",
        "Go on with the newest interrupted call of the same plan: what has a result is not repeated, what runs on its "
        "host is followed to its end.",
        RESULTS,
        default=False,
    )
    resume_from: str | None = option(
        "--resume-from CALL", "Go on with this call: its directory, or the beginning of its name.", RESULTS
    )

    @property
    def axes(self) -> list[str]:
        """The names of the parameters that differ between the trials."""
        return [text.partition("=")[0].strip() for text in self.grid or []]
