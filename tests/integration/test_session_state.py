"""A prepared process is as one that is not: what Ansible keeps in a process is compared, name by name."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from ansible_env import RemoteEnv, SessionEngine
from ansible_env.engine.protocol import Options
from tests.prepared import ready

DUMP = '''
import json, os, signal, sys, threading
from ansible.plugins.action import ActionBase


def sizes(owner, prefix):
    """Containers by their length, simple values as they are."""
    for name, value in list(vars(owner).items()):
        if name.startswith("__"):
            continue
        if isinstance(value, (dict, set, list)):
            yield f"{prefix}.{name}", len(value)
        elif value is None or isinstance(value, (bool, int, float, str, bytes)):
            yield f"{prefix}.{name}", repr(value)
        elif isinstance(value, type) and value.__module__ == prefix:
            yield from sizes(value, f"{prefix}.{name}")


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        from ansible import constants, context
        from ansible.plugins import loader
        from ansible.utils.display import Display

        found = {}
        for name, module in sorted(sys.modules.items()):
            if name.startswith("ansible.") and module is not None:
                found.update(sizes(module, name))
        for name, value in vars(loader).items():
            if isinstance(value, loader.PluginLoader):
                found[f"loader {name}"] = [
                    value._extra_dirs, sorted(value._plugin_instance_cache or ()), sorted(value._module_cache),
                    {suffix: sorted(known) for suffix, known in value._plugin_path_cache.items()},
                ]
        found["display"] = {name: repr(value) for name, value in vars(Display()).items() if name != "_lock"}
        found["options"] = {name: repr(value) for name, value in context.CLIARGS.items()}
        found["tmp"] = constants.DEFAULT_LOCAL_TMP
        found["environ"] = dict(os.environ)
        found["process"] = [os.getcwd(), sys.argv, sys.path, [thread.name for thread in threading.enumerate()]]
        found["signals"] = [str(signal.getsignal(number))[:40] for number in sorted(signal.valid_signals())]
        found["mask"] = repr(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        (context,) = [module.event_context for name, module in sys.modules.items() if name.endswith("awx_display")
                      or ".awx_display" in name]
        found["events"] = [sorted(context._global_ctx), context.cache.private_data_dir]
        with open(task_vars["to"], "w") as file:
            json.dump(found, file, default=repr)
        return {}
'''
OF_THE_EMPTY_PLAY = re.compile(
    r"ansible\.utils\.vars\.(cur_id|random_int)"  # from which numbers of tasks are made: drawn anew, counted on
    r"|ansible\.plugins\.vars\.host_group_vars\.(CANONICAL_PATHS|NAK|FOUND|PATH_CACHE)"  # its directory is in there
    r"|ansible\.executor\.action_write_locks\.action_write_locks"  # a lock for the one action
)
OF_A_RUN = re.compile(r"ae-\w{8}|run-\w{8}|(?<=ansible-local-)\w+|0x[0-9a-f]+|\d{12,}|[0-9a-f]{32}|ansible-tmp\S*")


def dumped(engine: SessionEngine, directory: Path) -> dict[str, Any]:
    file, to = directory / "environment.yml", directory / "dump"
    with RemoteEnv.from_file(file, engine=engine, options=Options(extra_vars={"to": str(to)})) as env:
        env.run_phase("run").raise_for_status()
    found: dict[str, Any] = json.loads(OF_A_RUN.sub("*", to.read_text()))
    return found


def test_the_empty_play_leaves_a_process_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins" / "dump.py").write_text(DUMP)
    (tmp_path / "environment.yml").write_text(json.dumps({"name": "x", "run": [{"name": "Dump", "dump": {}}, "true"]}))
    engine = SessionEngine()
    try:
        dumped(engine, tmp_path)  # the first process finds less loaded than the later ones
        for pid in ready(engine):
            os.kill(pid, signal.SIGKILL)
        before = dumped(engine, tmp_path)
        ready(engine)
        after = dumped(engine, tmp_path)
    finally:
        engine.close()
    assert len(before) > 1000
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    different = {name: (before.get(name), after.get(name)) for name in names if not OF_THE_EMPTY_PLAY.fullmatch(name)}
    assert different == {}
