"""Inventories in every form, as ansible-playbook gets them and, where it matters, as Ansible reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_env.engine.inventory import LOCALHOST, Inventory
from ansible_env.errors import InventoryError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "hosts.ini").write_text("[web]\nweb1\nweb2\n")
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "a.yml").write_text("all: {hosts: {db1: }}\n")
    return tmp_path


def arguments(inventory, directory):
    """Return the values for -i, data read back."""
    return [
        json.loads(Path(value).read_text()) if value.endswith(".json") else value
        for value in inventory.arguments(directory / "out")
    ]


def test_without_any_it_is_the_controller(here):
    assert arguments(Inventory.of(), here) == [LOCALHOST]
    host = LOCALHOST["all"]["hosts"]["localhost"]
    assert host["ansible_connection"] == "local"
    assert "ansible_playbook_python" in host["ansible_python_interpreter"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hosts.ini", ["{here}/hosts.ini"]),
        (Path("hosts.ini"), ["{here}/hosts.ini"]),
        ("hosts", ["{here}/hosts"]),
        ("web1,web2", ["web1,web2"]),
        ("web1,", ["web1,"]),
        (["hosts.ini", "web3,", Path("hosts")], ["{here}/hosts.ini", "web3,", "{here}/hosts"]),
        (("hosts.ini",), ["{here}/hosts.ini"]),
    ],
)
def test_paths_and_lists_of_hosts(here, source, expected):
    assert arguments(Inventory.of(source), here) == [text.format(here=here) for text in expected]


def test_a_home(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert Inventory.of("~/hosts.ini").sources == (f"{here}/hosts.ini",)


def test_the_directory_may_change_afterwards(here, monkeypatch):
    found = Inventory.of("hosts.ini")
    monkeypatch.chdir("/")
    assert Path(found.sources[0]).is_file()


GROUP = {"web": {"hosts": {"web1": {"ansible_port": 22}}, "vars": {"x": 1}}, "db": {"children": {"web": None}}}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GROUP, GROUP),
        ({"all": {"hosts": {"h": None}}}, {"all": {"hosts": {"h": None}}}),
        (
            {"h1": {"ansible_host": "10.0.0.1"}, "h2": {}},
            {"all": {"hosts": {"h1": {"ansible_host": "10.0.0.1"}, "h2": {}}}},
        ),
        ({"h1": {"ansible_host": "x"}, "h2": None}, {"all": {"hosts": {"h1": {"ansible_host": "x"}, "h2": {}}}}),
        ({"h1": None, "h2": {}}, {"all": {"hosts": {"h1": None, "h2": {}}}}),
        ({"web": {"hosts": {"h": None}}, "empty": None}, {"web": {"hosts": {"h": None}}, "empty": None}),
    ],
)
def test_data(here, data, expected):
    assert arguments(Inventory.of(data), here) == [expected]


def test_data_and_files_together(here):
    found = Inventory.of(["hosts.ini", {"h1": {"x": 1}}, {"h2": {"x": 2}}])
    assert [type(value) for value in arguments(found, here)] == [str, dict, dict]
    assert len(set(found.arguments(here / "out"))) == 3


def test_data_is_not_in_the_repr():
    # It may hold ansible_password.
    assert "geheim" not in repr(Inventory.of({"h": {"ansible_password": "geheim"}}))


def test_an_inventory_passes_through():
    found = Inventory.of("web1,")
    assert Inventory.of(found) is found


def test_no_such_file():
    with pytest.raises(InventoryError, match=r"web1: there is no such inventory \(.*comma after its name"):
        Inventory.of("web1")


def test_none_at_all():
    with pytest.raises(InventoryError, match="empty"):
        Inventory.of([])


def test_what_cannot_be_read(here, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(InventoryError, match=r"hosts.ini: the inventory cannot be read: Permission denied"):
        Inventory.of("hosts.ini")


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("source", "hosts"),
    [
        ("hosts.ini", ["web1", "web2"]),
        ("hosts", ["db1"]),
        ("x1,x2", ["x1", "x2"]),
        ({"h2": {"x": 1}, "h1": None}, ["h2", "h1"]),
        (GROUP, ["web1"]),
    ],
)
def test_ansible_finds_the_hosts(here, source, hosts):
    manager = pytest.importorskip("ansible.inventory.manager")
    loader = pytest.importorskip("ansible.parsing.dataloader").DataLoader()
    sources = Inventory.of(source).arguments(here / "out")
    found = manager.InventoryManager(loader=loader, sources=sources)
    assert [host.name for host in found.get_hosts("all")] == hosts
