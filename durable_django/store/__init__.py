"""The hot path's statements: one file a verb, each for PostgreSQL and for SQLite.

In: plain values and an alias. Out: plain values; no ORM instance is made on this path. May import models
(for table names), clock and types; knows nothing of workflows, retries or user code.

Note [One statement, one commit]
    On PostgreSQL each verb is a single statement in autocommit: one round trip, one commit, all or
    nothing. Several rows go in as arrays, so the same statement serves one run or hundreds. SQLite has no
    data-changing CTE; there the same moves are made one by one inside one IMMEDIATE transaction, which
    excludes every other writer.

Note [Runs are locked first and in order of id]
    Whatever changes a run locks its row before it touches steps, waits or events, several runs in order
    of id; so two transactions cannot wait for each other.
"""
