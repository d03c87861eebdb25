"""Test helpers: run what is due, and let time pass, without a worker, a broker or a sleep."""

from .drain import advance, drain, reset_clock

__all__ = ["advance", "drain", "reset_clock"]
