"""What a user writes: workflows, steps, triggers, and the context that a workflow gets.

In: the user's functions and options. Out: immutable values and a registry of them. Imports neither the
ORM nor settings, so a ``workflows.py`` can be imported by a plain unit test.
"""
