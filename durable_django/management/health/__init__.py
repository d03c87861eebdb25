"""What ``durable doctor`` looks at: each probe reads, decides and words one finding or a few.

In: an alias. Out: findings. Thresholds are in seconds, by the database's clock.
"""

from .finding import Finding, examine

__all__ = ["Finding", "examine"]
