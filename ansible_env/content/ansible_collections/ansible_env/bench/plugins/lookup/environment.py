# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an environment file, for the role ansible_env.bench.environment and for your own plays."""

from __future__ import annotations

DOCUMENTATION = r"""
name: environment
short_description: Read an environment file of ansible_env
version_added: 0.1.0
author:
  - The ansible_env maintainers (!UNKNOWN)
description:
  - Reads an environment file, checks all of it, and resolves its parameters for one trial.
  - The role P(ansible_env.bench.environment#role) uses this lookup. In a play of your own, it returns the hosts and the
    parameters of an environment.
options:
  _terms:
    description:
      - Environment files. A relative path is searched beside the play, as in other lookups, and then in the current
        directory.
    required: true
    type: list
    elements: path
  params:
    description: Values of parameters and tunables, by name. A name that the file does not define is an error.
    type: dict
    default: {}
  token:
    description:
      - Writes the phases as roles that a play can include. The results of their tasks are in variables whose names
        contain this text.
    type: str
  secrets:
    description: Return only the values of the secret parameters.
    type: bool
    default: false
requirements:
  - on the controller, the C(ansible_env) library from its clone or its wheel
"""

EXAMPLES = r"""
- name: Run where the environment file says
  hosts: "{{ lookup('ansible_env.bench.environment', 'redis.yml').hosts }}"
  roles:
    - role: ansible_env.bench.environment
      vars:
        environment_file: redis.yml

- name: Show the parameters of a trial
  hosts: localhost
  tasks:
    - name: Read the file
      ansible.builtin.debug:
        msg: "{{ lookup('ansible_env.bench.environment', 'redis.yml', params={'io_threads': 4}).params }}"
"""

RETURN = r"""
_raw:
  description:
    - For each file, a mapping with its C(name), its absolute path as C(file), the host pattern C(hosts),
      C(gather_facts), the parameters C(params) with secrets masked, and C(phases), the names of those that have
      something to do. With O(token), C(roles) has for each phase the role to include, and C(release), the role that
      gives the hosts back if the environment uses them alone.
  type: list
  elements: dict
"""

import json
from pathlib import Path

from ansible import constants, context
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

try:
    from ansible_env.environment.role import RoleEnvironment
    from ansible_env.errors import AnsibleEnvError
except ImportError as error:  # the collection was installed without the library
    LIBRARY_ERROR = error
else:
    LIBRARY_ERROR = None


class LookupModule(LookupBase):
    """Returns the content of environment files."""

    def run(self, terms, variables=None, **kwargs):
        if LIBRARY_ERROR is not None:
            raise AnsibleLookupError(
                f"the ansible_env library is needed: install it from its clone or wheel ({LIBRARY_ERROR})"
            )
        self.set_options(var_options=variables, direct=kwargs)
        # Plain data: values of Ansible's own types would not be known as text or numbers.
        params = json.loads(json.dumps(self.get_option("params"), default=str))
        hosts = len((variables or {}).get("ansible_play_hosts_all") or [""])
        return [self._one(self._find(str(term), variables), params, hosts) for term in terms]

    def _one(self, path, params, hosts):
        try:
            environment = RoleEnvironment.load(path, params)
            if self.get_option("secrets"):
                return environment.parameters.secrets
            description = environment.describe()
            token = self.get_option("token")
            if token is not None:
                # Ansible makes this directory for itself and removes it when it ends.
                description["roles"] = environment.roles(
                    Path(constants.DEFAULT_LOCAL_TMP), str(token), hosts=hosts, forks=context.CLIARGS.get("forks")
                )
        except AnsibleEnvError as problem:
            raise AnsibleLookupError(str(problem)) from problem
        return description

    def _find(self, term, variables):
        path = self.find_file_in_search_path(variables or {}, "files", term, ignore_missing=True)
        path = Path(path) if path else Path(term).expanduser()
        if not path.is_file():
            raise AnsibleLookupError(
                f"there is no environment file {term!r}, neither beside the play nor in {Path.cwd()}"
            )
        return path
