"""One contender in a process of its own: `worker.py MODULE.FUNCTION SETTING`; a phase for each line on stdin."""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from typing import Any

from tests.benchmarks.contenders.setting import Setting


def main() -> None:
    """Answer each line with one of JSON: seconds, or what went wrong."""
    answers, sys.stdout = sys.stdout, sys.stderr
    contender: Any = None
    for _ in sys.stdin:
        try:
            if contender is None:
                module, _, function = sys.argv[1].rpartition(".")
                make = getattr(importlib.import_module(f"tests.benchmarks.contenders.{module}"), function)
                contender = make(Setting.from_json(sys.argv[2]))
            begun = time.perf_counter()
            contender.phase()
            answer: dict[str, Any] = {"seconds": time.perf_counter() - begun}
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)
    if contender is not None:
        contender.close()


if __name__ == "__main__":
    main()
