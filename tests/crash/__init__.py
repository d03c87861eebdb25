"""Every crash point, one after the other: ``python -m tests.crash --help``.

A *scene* is a few workflows and what is done to them. A *player* process plays it and is killed by SIGKILL at its
n-th crash point; another process, which knows nothing but the database, plays it to its end; then the stored
data is checked by the oracle and compared with what a play without a crash left behind. So for each n, until
a player reaches the end alive.

A crash point lies before each statement, commit, effect outside the database and message to the broker: all
that anyone outside the process could notice. Between two of them a process only computes, so that a death
there is a death at the next one. The tool that counts them sits in the test process (points.py); the product
has no hook for it.
"""
