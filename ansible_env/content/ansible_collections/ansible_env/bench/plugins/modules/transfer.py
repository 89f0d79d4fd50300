# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of ansible_env.bench.transfer; plugins/action/transfer.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: transfer
short_description: Copy a file, or a directory as an archive, to or from a host without Python
version_added: 0.1.0
description:
  - Copies one file over the connection, and installs it with C(/bin/sh). A directory is transferred as one tar
    archive, which the host packs or unpacks.
  - The file share of C(ansible_env.mlos.AnsibleService) uses this module. In a playbook, prefer
    M(ansible.builtin.copy) and M(ansible.builtin.fetch) if the host has Python.
attributes:
  check_mode:
    description: Can run in C(check_mode) without modifying target.
    support: full
    details:
      - The task transfers nothing and is reported as skipped.
  diff_mode:
    description: Will return details on what has changed when in C(diff_mode).
    support: none
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  become:
    description: Is usable alongside C(become) keywords.
    support: full
    details:
      - The user that C(become) names reads and writes the files.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
options:
  path:
    description: File or directory on the host. Relative paths are relative to the user's home.
    type: str
    required: true
  send:
    description: File on the controller to send to O(path). Give either this or O(fetch).
    type: str
  fetch:
    description: File on the controller to write the content of O(path) to. For a directory it is a tar archive.
    type: str
  archive:
    description: Whether O(send) is a tar archive to unpack in the directory O(path).
    type: bool
    default: false
  name:
    description:
      - Name of the file in O(path), if that is a directory or ends with a slash. For an archive, name of its directory
        in O(path), if that is a directory and does not end with a slash.
    type: str
    default: file
  mode:
    description: Mode of the file, or of a directory that has to be created.
    type: str
    default: '0644'
  merge:
    description: Whether to unpack an archive directly into an existing directory, even without a slash after O(path).
    type: bool
    default: false
  recursive:
    description: Whether to fetch subdirectories, too.
    type: bool
    default: true
author:
  - The ansible_env maintainers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Fetch the results of a host without Python
  ansible_env.bench.transfer:
    path: results
    fetch: /tmp/results-of-{{ inventory_hostname }}.tar
"""

RETURN = r"""
made:
  description: Whether the directory had to be created.
  returned: with O(send)
  type: bool
  sample: true
archive:
  description: Whether the file on the controller is an archive of a directory.
  returned: success
  type: bool
  sample: true
mode:
  description: Mode of the file or directory, in octal.
  returned: with O(fetch)
  type: str
  sample: '0644'
rc:
  description: Number of the error as in C(errno.h). V(2) means that there is nothing at O(path).
  returned: failure
  type: int
  sample: 2
"""
