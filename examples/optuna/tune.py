"""Tune SQLite with Optuna: a trial on every host of a group at once.

python examples/optuna/tune.py -i inventories/ssh --trials 40
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ansible_env import RemoteEnv, Runner, run_trials
from ansible_env.config.tunables import Tunable

SQLITE = Path(__file__).parent.parent / "sqlite" / "environment.yml"


def distribution(tunable: Tunable) -> BaseDistribution:
    """Return what Optuna is to draw from for a tunable."""
    if tunable.range is None:
        return CategoricalDistribution(tunable.values)
    low, high = tunable.range
    log = bool(tunable.definition.get("log"))
    return IntDistribution(int(low), int(high), log=log) if tunable.type == "int" else FloatDistribution(low, high, log)


def tune(env: RemoteEnv, study: optuna.Study, trials: int) -> None:
    """Let the study find out which settings are good."""
    space = {tunable.name: distribution(tunable) for tunable in env.config.tunables}
    for result in Runner(env).asked(lambda: study.ask(space), trials=trials):
        score = result.metrics.get("score")
        study.tell(result.asked, score, state=None if score is not None else optuna.trial.TrialState.FAIL)
        print(f"{result.asked.number:3} {result.hosts[0]:12} {score} {dict(result.values)}", flush=True)


def compare(env: RemoteEnv, best: dict[str, object]) -> tuple[list[float], list[float]]:
    """Measure the defaults and the best settings in turns: the best of many noisy measurements is too good."""
    scores: tuple[list[float], list[float]] = ([], [])
    for result in run_trials(env, [{}, best], repeat=2 * len(env.hosts), seed=1):
        if result.status.is_succeeded():
            scores[result.request.configuration].append(float(result.metrics["score"] or 0))
    return scores


def main() -> None:
    """Compare the defaults with the best that is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--inventory", action="append", help="where to run; without it, this machine")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.5, help="for inserts, and for reads, in each trial")
    given = parser.parse_args()
    # A new configuration must not be the one that is already running on another host.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(constant_liar=True))
    with RemoteEnv.from_file(SQLITE, inventory=given.inventory, global_config={"seconds": given.seconds}) as env:
        tune(env, study, given.trials)
        for name, found in zip(("defaults", "best"), compare(env, study.best_params), strict=True):
            print(f"{name:9} {statistics.fmean(found):9.0f}  in {len(found)} trials")
    print(study.best_params)


if __name__ == "__main__":
    main()
