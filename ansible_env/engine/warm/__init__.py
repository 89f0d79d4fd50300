"""The warm engine: ansible-playbook without its start-up, by forking a process that has Ansible loaded."""
