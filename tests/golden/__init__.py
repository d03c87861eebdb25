"""Golden histories: what a release left in its tables, which every later one must be able to bring to its end.

``python -m tests.golden.make NAME`` writes ``releases/NAME.jsonl``: all rows of a database in which there is a run in
every state, and then what became of each run when that release finished it. It is done once a release and never
again: if a later release cannot finish them as they were, the release is wrong, not the file. ``scenario.py`` is the
code of those runs and may be added to, but not changed.
"""
