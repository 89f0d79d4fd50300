"""`python -m ansible_env` is `ansible-env`."""

from ansible_env.cli import main

if __name__ == "__main__":
    main()
