# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of ansible_env.bench.transfer; plugins/action/transfer.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: transfer
short_description: Move a file, or a directory as an archive, to or from a host without Python
version_added: 0.1.0
description:
  - Moves one file over the connection, at the speed of that, and puts it in its place with C(/bin/sh). A directory
    travels as one tar archive, which the host packs or unpacks.
  - The file share of C(ansible_env.mlos.AnsibleService) is made of this. In a playbook M(ansible.builtin.copy) and
    M(ansible.builtin.fetch) are usually what is wanted.
attributes:
  check_mode:
    description: Can run in C(check_mode) without modifying target.
    support: full
    details:
      - Nothing is transferred, and the task is reported as skipped.
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
      - Files are read and written as the user that C(become) names.
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
    description: File on the controller that is sent to O(path). Exactly one of this and O(fetch) is needed.
    type: str
  fetch:
    description: File on the controller that is written with what is at O(path), of a directory with a tar archive.
    type: str
  archive:
    description: Whether O(send) is a tar archive, to be unpacked in the directory O(path).
    type: bool
    default: false
  name:
    description:
      - Name under which the file goes into O(path), where that is a directory or ends with a slash; and an archive,
        where it is a directory and does not.
    type: str
    default: file
  mode:
    description: Mode of the file, or of the directory where it has to be made.
    type: str
    default: '0644'
  merge:
    description: Whether an archive goes right into a directory that is there, whether or not O(path) ends with a slash.
    type: bool
    default: false
  recursive:
    description: Whether subdirectories are fetched, too.
    type: bool
    default: true
author:
  - The ansible_env maintainers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Bring the results of a host without Python
  ansible_env.bench.transfer:
    path: results
    fetch: /tmp/results-of-{{ inventory_hostname }}.tar
"""

RETURN = r"""
made:
  description: Whether the directory was not there before.
  returned: with O(send)
  type: bool
  sample: true
archive:
  description: Whether the file on the controller is an archive, which stands for a directory.
  returned: success
  type: bool
  sample: true
mode:
  description: Mode of the file or directory, in octal.
  returned: with O(fetch)
  type: str
  sample: '0644'
rc:
  description: Number of the error as in C(errno.h), 2 where there is nothing at O(path).
  returned: failure
  type: int
  sample: 2
"""
