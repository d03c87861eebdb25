"""The verbs of ``manage.py durable``: each module has HELP, ``add_arguments(parser)`` and ``handle``."""
