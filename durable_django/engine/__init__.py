"""The laws: receive, route, claim, execute, checkpoint, park, finish, sweep, operate.

In: events, nudges and operator actions. Out: rows, and nudges through ``nudge.py``. Imports define, store,
models and what lies below; never dispatch, api or admin, which import it.
"""
