"""Random programs under random faults, judged by an oracle: ``python -m tests.chaos --help``."""
