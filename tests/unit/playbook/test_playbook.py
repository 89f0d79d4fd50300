"""From a phase to a playbook, read back as ansible-playbook reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import resolve
from ansible_env.config.shell_env import shell_env
from ansible_env.playbook.playbook import Playbook
from ansible_env.playbook.plays import render, render_boot, render_ending
from ansible_env.playbook.scripts import PARAMS_VAR, SECRETS_VAR
from ansible_env.playbook.yaml_text import Unsafe, unsafe
from ansible_env.results.fold.events import PHASE_TASK

TASK = {"name": "Install it", "ansible.builtin.package": {"name": "{{ ansible_env_params.pkg }}"}}
TRIAL = {"experiment_id": "e", "trial_id": 1, "trial_runner_id": 1}

CONFIG: dict[str, Any] = {"name": "a bench", "run": ["measure"]}


def playbook(phase: str = "run", outside: dict[str, Any] | None = None, **fields: Any) -> Playbook:
    config = EnvironmentConfig.from_mapping(CONFIG | fields)
    params = resolve(config, global_config=outside, trial=TRIAL)
    return render(config, phase, params, shell_env(config, params))


def arguments(found: Playbook, number: int = 0) -> Any:
    return found.plays[0]["tasks"][number][PHASE_TASK]


LOADER = DataLoader()


def loaded(text: str) -> Any:
    """Read it as ansible-playbook does; vars, literals and marks included."""
    return LOADER.load(text, json_only=False)


class PlainLoader(yaml.SafeLoader):
    """Reads marked strings as `(mark, text)`."""


PlainLoader.add_multi_constructor("!", lambda loader, tag, node: (tag, loader.construct_scalar(node)))


def templates(text: str) -> list[str]:
    """Return the strings that Ansible would template."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, str) and (re.search(r"\{[{%#]", value) or value.startswith("#jinja2:")):
            found.append(value)
        elif isinstance(value, dict):
            for key, item in value.items():
                look(key)
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(yaml.load(text, PlainLoader))
    return found


@pytest.mark.smoke
def test_the_smallest():
    assert yaml.safe_load(playbook().to_yaml()) == [
        {
            "name": "Run a bench",
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Run script",
                    PHASE_TASK: {"script": "measure\n", "shell": "bash", "timeout": 3600.0, "grace": 5.0},
                    "no_log": False,
                }
            ],
        }
    ]


def test_it_is_text_that_a_person_may_read():
    text = playbook(
        run=["# how fast?", "measure --it | tee log"], shell_env_params=["n"], const_args={"n": 3}
    ).to_yaml()
    assert text.startswith("---\n- name: Run a bench\n")
    assert "script: |\n          # how fast?\n          measure --it | tee log\n" in text
    assert "!unsafe" not in text
    assert "&id" not in text


def test_plain_data_only():
    def check(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                assert type(key) is str
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)
        else:
            assert type(value) in (str, Unsafe, bool, int, float, type(None))

    found = playbook(
        run=["a", TASK, "b"], shell_env_params=["n"], const_args={"n": [1, "x", None]}, required_metrics=["m"],
        results_json=True,
    )  # fmt: skip
    for play in found.plays:
        check(dict(play))


def test_neighbouring_lines_are_one_script():
    found = playbook(run=["a", "b", TASK, "c"])
    assert [task["name"] for task in found.plays[0]["tasks"]] == ["Run script", "Install it", "Run script"]
    assert arguments(found)["script"] == "a\nb\n"
    assert (arguments(found)["step"], arguments(found, 2)["step"]) == (1, 2)
    assert found.scripts == 2


@pytest.mark.parametrize("items", [[TASK], ["a", TASK], [TASK, TASK]])
def test_a_phase_that_ends_with_a_task_gets_a_proof_behind_it(items):
    found = playbook("setup", setup=items)
    assert found.plays[0]["tasks"][-1] == {"name": "Finish setup", PHASE_TASK: {}}
    assert found.scripts == sum(isinstance(item, str) for item in items) + 1


def test_one_script_has_no_step():
    assert "step" not in arguments(playbook())


def test_an_authors_task_is_as_he_wrote_it():
    found = playbook("setup", setup=[TASK])
    assert found.plays[0]["tasks"][0] == TASK
    assert templates(found.to_yaml()) == ["{{ ansible_env_params.pkg }}"]


def test_tasks_see_the_parameters():
    fields: dict[str, Any] = {"const_args": {"pkg": "x{{ 1 }}", "n": 3}, "secret_params": ["pw"]}
    found = playbook("setup", {"pw": "geheim"}, setup=[TASK], **fields)
    assert found.plays[0]["vars"][PARAMS_VAR] == {"pkg": "x{{ 1 }}", "n": 3} | TRIAL
    assert "vars" not in playbook("setup", {"pw": "geheim"}, setup=["a"], **fields).plays[0]


# Flags, only where they are set

FLAGS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"fail_fast": True}, "run", {"fail_fast": True}),
    ({"keep_running": ["run"]}, "run", {"keep_running": True}),
    ({"setup": ["a"]}, "setup", {"keep_running": True}),
    ({"setup": ["a"], "keep_running": []}, "setup", {}),
    ({"reboot": ["run"]}, "run", {"may_reboot": True, "reconnect": 600.0}),
    ({"reboot": ["run"], "timeouts": {"boot": None}}, "run", {"may_reboot": True}),
    ({"timeouts": {"run": None}}, "run", {"timeout": None, "grace": None}),
    ({"timeouts": {"run": 60, "grace": 0}}, "run", {"timeout": 60.0, "grace": 0.0}),
    ({"shell": "/bin/dash"}, "run", {"shell": "/bin/dash"}),
    ({"results_stdout_pattern": r"^(\w+)=(\d+)$"}, "run", {"results_stdout_pattern": r"^(\w+)=(\d+)$"}),
    ({"results_stdout_pattern": r"^(\w+)=(\d+)$", "teardown": ["a"]}, "teardown", {}),
    ({"results_json": True}, "run", {"results_json": True}),
    ({"results_json": True, "required_metrics": ["m"]}, "run", {"results_json": True, "required_metrics": ["m"]}),
]


@pytest.mark.parametrize(("fields", "phase", "expected"), FLAGS)
def test_flags(fields, phase, expected):
    usual = {"shell": "bash", "timeout": 3600.0, "grace": 5.0}
    found = arguments(playbook(phase, **fields))
    assert {name: value for name, value in found.items() if name != "script"} == {
        name: value for name, value in (usual | expected).items() if value is not None
    }


def test_of_several_scripts_the_last_gives_the_json_and_metrics_are_counted_at_the_end():
    found = playbook(run=["a", TASK, "b"], results_json=True, required_metrics=["m"])
    assert "results_json" not in arguments(found, 0)
    assert arguments(found, 2)["results_json"] is True
    assert all("required_metrics" not in arguments(found, number) for number in (0, 2))


def test_become():
    play = playbook(become=True, become_user="bench", become_method="su").plays[0]
    assert (play["become"], play["become_user"], play["become_method"]) == (True, "bench", "su")
    assert "become_user" not in playbook(become=True).plays[0]
    assert "become" not in playbook().plays[0]


def test_hosts():
    assert playbook(hosts="web:!web3").plays[0]["hosts"] == "web:!web3"
    config = EnvironmentConfig.from_mapping(CONFIG)
    params = resolve(config, trial=TRIAL)
    assert render(config, "run", params, shell_env(config, params), hosts="h1").plays[0]["hosts"] == "h1"


def test_boot():
    config = EnvironmentConfig.from_mapping(
        CONFIG | {"wait_boot": True, "start_host": [{"name": "Start it", "command": "virsh start x"}], "become": True}
    )
    found = render_boot(config)
    start, wait = found.plays[0]["tasks"]
    assert (start["delegate_to"], start["become"]) == ("localhost", False)
    assert (wait[PHASE_TASK], found.scripts) == ({"wait_boot": 600.0}, 1)


# attached()


def test_attached_starts_nothing():
    found = playbook("setup", setup=["a", TASK, "b"], gather_facts=True)
    again = found.for_attaching()
    assert [task[PHASE_TASK]["attach"] for task in again.plays[0]["tasks"]] == [True, True]
    assert [task[PHASE_TASK]["step"] for task in again.plays[0]["tasks"]] == [1, 2]
    assert again.plays[0]["gather_facts"] is False
    assert again.scripts == found.scripts == 2
    assert "attach" not in arguments(found)


@pytest.mark.parametrize("items", [["a", TASK], [TASK]])
def test_attached_proves_nothing_of_a_task_behind_the_last_script(items):
    again = playbook("setup", setup=items).for_attaching()
    assert again.scripts > sum(PHASE_TASK in task for task in again.plays[0]["tasks"])


# for_ending()


def test_earlier_scripts_are_ended_by_name():
    """Whatever comes of one task, a host goes through all of them; and no host stops another."""
    config = EnvironmentConfig.from_mapping({"name": "x", "run": "true", "serial": 1})
    users = [({}, {"a": ["1", "2"], "b": ["3"]}), ({"become": True}, {"c": ["4"]})]
    plain, become = render_ending(config, users, 5.0).plays
    assert (plain["hosts"], [plain.get(key) for key in ("serial", "become")]) == ("all", [None] * 2)
    assert (plain["vars"], become["become"]) == ({"ansible_env_runs": {"a": ["1", "2"], "b": ["3"]}}, True)
    assert (len(plain["tasks"]), len(become["tasks"])) == (2, 1)
    for number, task in enumerate(plain["tasks"]):
        assert task["when"] == f"ansible_env_runs[inventory_hostname] | default([]) | length > {number}"
        assert task[PHASE_TASK]["run_id"] == f"{{{{ ansible_env_runs[inventory_hostname][{number}] }}}}"
        assert (task[PHASE_TASK]["attach"], task[PHASE_TASK]["end"], task["ignore_errors"]) == (True, "canceled", True)


# Nothing from outside is a template

EVIL = [
    "{{ lookup('pipe', 'id') }}",
    "{% for x in y %}",
    "{# gone",
    "a\n{{ 1 }}\n",
    "${#array}",
    "#jinja2:variable_start_string:'[%',variable_end_string:'%]'\n[% lookup('pipe', 'id') %]",
    "#jinja2: no newline",
]


@pytest.mark.parametrize("evil", EVIL)
def test_no_value_from_outside_is_a_template(evil):
    fields: dict[str, Any] = {
        "const_args": {"v": "", "deep": []}, "shell_env_params": ["v"], "secret_params": [],
        "results_stdout_pattern": f"({re.escape(evil)})=(x)", "required_metrics": [evil],
    }  # fmt: skip
    outside = {"v": evil, "deep": [evil, 1]}
    for text in (
        playbook("run", outside, run=[evil], **fields).to_yaml(),
        playbook("setup", outside, setup=["x", {"command": "y"}], **fields).to_yaml(),
    ):
        assert templates(text) == []
    # The test can tell: unmarked, it is one.
    assert templates(playbook("setup", setup=[{"command": evil}]).to_yaml()) == [evil]


@pytest.mark.smoke
@pytest.mark.parametrize("evil", EVIL)
def test_ansible_itself_does_not_template_it(evil):
    templating = pytest.importorskip("ansible.template")
    text = playbook("run", {"v": evil}, run=[evil], const_args={"v": ""}, shell_env_params=["v"]).to_yaml()
    task = loaded(text)[0]["tasks"][0][PHASE_TASK]
    found = templating.Templar(loader=LOADER, variables={}).template(task)
    assert found["env"] == {"v": evil}
    assert found["script"] == evil + ("" if evil.endswith("\n") else "\n")


@pytest.mark.parametrize("name", ["{{ 1 + 1 }}", "{% x %}", "#jinja2:x", "a\nb", "'\"`\\", "ä b", "x" * 500, "{ {"])
def test_names_of_plays_are_harmless(name):
    for found in (playbook(name=name), render_boot(EnvironmentConfig.from_mapping(CONFIG | {"name": name}))):
        title = found.plays[0]["name"]
        assert not re.search(r"[{}%#\n'\"`\\]", title)
        assert templates(found.to_yaml()) == []


def test_unsafe_marks_all_strings_in_a_value():
    found = unsafe({"k": ["{{ x }}", 1, None, True, {"l": ("y",)}], "f": 1.5})
    assert found == {"k": ["{{ x }}", 1, None, True, {"l": ["y"]}], "f": 1.5}
    assert isinstance(found["k"][0], Unsafe)
    assert isinstance(found["k"][4]["l"][0], Unsafe)


# Secrets


def test_secrets_are_not_in_the_text(tmp_path):
    (tmp_path / "pw").write_text("geheim\n")
    config = EnvironmentConfig.from_mapping(
        CONFIG
        | {
            "setup": ["a", TASK],
            "secret_params": {"pw": {"file": "pw"}},
            "const_args": {"n": 1},
            "shell_env_params": ["pw", "n"],
            "shell_env_params_rename": {"PGPASSWORD": "pw"},
        },
        source=tmp_path / "env.yml",
    )
    params = resolve(config, trial=TRIAL)
    for phase in ("setup", "run"):
        found = render(config, phase, params, shell_env(config, params))
        text = found.to_yaml()
        assert "geheim" not in text
        assert "geheim" not in repr(found)
        assert arguments(found)["env"] == {"n": "1"}
        assert arguments(found)["secret_env"] == f"{{{{ {SECRETS_VAR}.env }}}}"


# Through YAML and back

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
AWKWARD = st.lists(
    st.sampled_from(
        ["\n", "\r", "\t", " ", ":", "#", "'", '"', "\\", "|", ">", "-", "?", "&", "*", "!", "%", "{{", "}}", "\x85",
         "\u2028", "\u2029", "\ufeff", "\x1b", "\x7f", "é", "😀", "\ufffe", "null", "yes", "0o10", "1e5", "---", "...",
         "a", "b", "${x}", "#jinja2:", "\ue000", "\U0010ffff"]
    ),
    max_size=12,
).map("".join)  # fmt: skip
STRINGS = TEXT | AWKWARD
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in TRIAL)


@settings(max_examples=150, deadline=None)
@given(STRINGS.filter(lambda text: text.strip() != ""), STRINGS, STRINGS)
@example("a \nb", " leading", "trailing ")
@example("\n\n  a\n\n", "x\n", "x\n\n\n")
@example("#!/bin/sh\n\techo\n", "", "~")
@example("a\r\nb\r\n", "\r", "\x85a")
def test_strings_come_back_byte_by_byte(script, value, deep):
    fields: dict[str, Any] = {
        "run": [script, {"command": "x"}], "const_args": {"v": "", "deep": []}, "shell_env_params": ["v"],
    }  # fmt: skip
    found = playbook("run", {"v": value, "deep": [deep]}, **fields)
    for read in (loaded(found.to_yaml()), yaml.load(found.to_yaml(), PlainLoader)):
        play = read[0]

        def text(item: Any) -> str:
            return str(item[1] if isinstance(item, tuple) else item)

        task = play["tasks"][0][PHASE_TASK]
        assert text(task["script"]) == (script if script.endswith("\n") else script + "\n")
        assert text(task["env"]["v"]) == value
        assert text(play["vars"][PARAMS_VAR]["v"]) == value
        assert text(play["vars"][PARAMS_VAR]["deep"][0]) == deep


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), STRINGS)))
def test_names_and_other_values_come_back_as_they_are(values):
    found = playbook("setup", values, setup=[TASK], const_args=dict.fromkeys(values, ""))
    read = loaded(found.to_yaml())[0]["vars"][PARAMS_VAR]
    assert {name: value for name, value in read.items() if name not in TRIAL} == values
    for name, value in values.items():
        assert isinstance(read[name], type(value))


@settings(max_examples=60, deadline=None)
@given(STRINGS)
def test_an_authors_strings_come_back_too(value):
    config = EnvironmentConfig.from_mapping(CONFIG | {"setup": [{"command": "x", "vars": {"v": value}}]})
    params = resolve(config, trial=TRIAL)
    text = render(config, "setup", params, shell_env(config, params)).to_yaml()
    assert yaml.safe_load(text)[0]["tasks"][0]["vars"]["v"] == value


@pytest.mark.smoke
def test_vault_values_pass_through(tmp_path: Path):
    file = tmp_path / "env.yml"
    file.write_text("name: x\nsetup:\n  - command: y\n    vars: {v: !vault '$ANSIBLE_VAULT;1.1;AES256'}\n")
    config = EnvironmentConfig.load(file)
    params = resolve(config, trial=TRIAL)
    text = render(config, "setup", params, shell_env(config, params)).to_yaml()
    assert yaml.load(text, PlainLoader)[0]["tasks"][0]["vars"]["v"] == ("vault", "$ANSIBLE_VAULT;1.1;AES256")


ROLE = "ansible.builtin.import_role"
PLAYBOOK = "ansible.builtin.import_playbook"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "web"}, {"name": "Role web", ROLE: {"name": "web"}}),
        (
            {"role": "a.b.web", "name": "Web", "tasks_from": "x", "become": True, "vars": {"n": 1}},
            {"name": "Web", ROLE: {"name": "a.b.web", "tasks_from": "x"}, "become": True, "vars": {"n": 1}},
        ),
        (
            {"role": "web", "loop": [1, 2], "become": True, "tags": ["t"]},
            {
                "name": "Role web",
                "ansible.builtin.include_role": {"name": "web", "apply": {"become": True, "tags": ["t"]}},
                "loop": [1, 2],
                "tags": ["t"],
            },
        ),
        (
            {"tasks": "{{ os }}.yml"},
            {"name": "Templated tasks", "ansible.builtin.include_tasks": {"file": "{{ os }}.yml"}},
        ),
        ({"ansible.builtin.debug": {"msg": 1}}, {"ansible.builtin.debug": {"msg": 1}}),
    ],
)
def test_short_forms_become_what_a_playbook_has(item, expected):
    assert playbook("setup", setup=[item]).plays[0]["tasks"][0] == expected


def test_an_imported_playbook_stands_between_plays(tmp_path):
    (tmp_path / "site.yml").write_text("")
    items = ["a", {"import_playbook": str(tmp_path / "site.yml"), "vars": {"x": 1}}, {PLAYBOOK: "a.b.c"}, "b"]
    handlers = [{"name": "h", "ansible.builtin.debug": {}}]
    found = playbook("setup", setup=items, gather_facts=True, handlers=handlers, const_args={"n": 1}, vars_params=["n"])
    first, site, other, last = found.plays
    assert site[PLAYBOOK] == str(tmp_path / "site.yml")
    assert site["vars"] == {PARAMS_VAR: {"n": 1, **TRIAL}, "n": 1, "x": 1}
    assert other == {"name": "Playbook a.b.c", PLAYBOOK: "a.b.c", "vars": {PARAMS_VAR: {"n": 1, **TRIAL}, "n": 1}}
    assert (first["gather_facts"], last["gather_facts"]) == (True, False)
    assert first["handlers"] == last["handlers"] == handlers
    assert [task["name"] for task in last["tasks"]] == ["Setup script", "Finish setup"]
    assert (found.scripts, found.finish, found.import_dirs) == (3, "Finish setup", (tmp_path,))
    assert len(found.for_attaching().plays) == 2


def test_handlers_run_before_the_next_script_and_the_proof():
    notifies = {**TASK, "notify": "h"}
    names = [task["name"] for task in playbook(run=[notifies, TASK, "a", notifies]).plays[0]["tasks"]]
    flush = "Run the handlers that were notified"
    assert names == ["Install it", "Install it", flush, "Run script", "Install it", flush, "Finish run"]


def test_secret_parameters_are_variables_by_reference_only():
    found = playbook(
        "setup",
        {"key": "hidden"},
        setup=[TASK],
        secret_params=["key"],
        vars_params=["*"],
        const_args={"a-b": 1, "n": 2},
    )
    assert found.plays[0]["vars"]["key"] == "{{ ansible_env_secrets.params.key }}"
    assert found.plays[0]["vars"]["n"] == 2
    assert "a-b" not in found.plays[0]["vars"]
    assert "hidden" not in found.to_yaml()


def test_what_hosts_must_be_is_checked_by_the_first_script_or_by_a_task_of_its_own():
    wanted = {"cpus": 4, "commands": ["fio"]}
    (play,) = (found := playbook(run=["a", {"script": "b", "name": "B"}], require=wanted)).plays
    assert play["tasks"][0][PHASE_TASK]["require"] == wanted
    assert "require" not in play["tasks"][-1][PHASE_TASK]
    assert found.for_attaching().scripts == found.scripts
    (play,) = (found := playbook(run=[TASK, "a"], require=wanted)).plays
    assert play["tasks"][0] == {"name": "Check what the hosts must be", PHASE_TASK: {"require": wanted}}
    assert found.for_attaching().scripts == found.scripts - 1
    assert "require" not in playbook("teardown", teardown=["a"], require=wanted).to_yaml()
