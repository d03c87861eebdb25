"""Control flow that ``except Exception`` in a workflow cannot catch."""

from __future__ import annotations

from ..exceptions import DurableError
from .pending import Pending


class Interrupt(BaseException):
    """Base of the signals by which a slice leaves the workflow function."""


class Suspended(Interrupt):
    """The workflow waits for something; the run is to be parked."""

    def __init__(self, *pending: Pending) -> None:
        super().__init__()
        self.pending = pending


class LeaseLost(Interrupt):
    """Another worker or an operator owns the run now; the slice ends without a trace (law 3)."""


class Fatal(Interrupt):
    """A coded error that ends the run at once, whatever the workflow would catch."""

    def __init__(self, error: DurableError) -> None:
        super().__init__(str(error))
        self.error = error


class Released(Interrupt):
    """The worker is stopping; the run goes back to its queue at a step boundary."""


class StoreFailed(Interrupt):
    """The store failed for good; the segment is tried again, and the workflow must not take it for its own error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class HookStopped(Interrupt):
    """A hook withheld a value that the workflow needs; the segment is tried again."""

    def __init__(self, error: DurableError) -> None:
        super().__init__(str(error))
        self.error = error


class NestedStep(Interrupt):
    """A step was called inside the function of another step."""

    def __init__(self, error: DurableError) -> None:
        super().__init__(str(error))
        self.error = error
