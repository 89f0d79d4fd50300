"""What a phase costs, side by side with other ways to run the same script: `make bench`, `python -m tests.benchmarks`.

Each contender lives in a process of its own (`worker.py`), with the interpreter of the virtual environment that it is
installed in, and is asked for one phase at a time, in turn with all others: what disturbs the machine disturbs all.
A phase is the same three lines of shell for everybody, and counts only if every host's `score=1.0` came back.
"""
