"""How a nudge travels to a worker: Celery, threads of this host, or the caller's own thread (tests).

In: nudges from the engine's port. Out: claimed and executed runs. May import the engine.
"""
