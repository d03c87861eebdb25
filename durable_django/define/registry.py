"""The registry: workflow id → workflow, in this process."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..exceptions import DuplicateWorkflow, UnknownWorkflow

if TYPE_CHECKING:
    from .workflow import Workflow


CACHED = 1_000
"""Event names whose workflows are remembered; names come from outside, so there is no end of them."""


class Registry:
    """Holds the workflows that were imported; refuses a second one under the same id."""

    def __init__(self) -> None:
        self._workflows: dict[str, Workflow[Any, Any]] = {}
        self._watchers: list[Callable[[Workflow[Any, Any]], None]] = []
        self._for_event: dict[str, list[Workflow[Any, Any]]] = {}

    def __iter__(self) -> Iterator[Workflow[Any, Any]]:
        return iter(list(self._workflows.values()))

    def __contains__(self, id: object) -> bool:
        return id in self._workflows

    def add(self, workflow: Workflow[Any, Any]) -> None:
        """Register a workflow.

        Raises:
            DuplicateWorkflow: Another function has the id; a module that is loaded again may replace its own.
        """
        known = self._workflows.get(workflow.id)
        if known is not None and known.where != workflow.where:
            raise DuplicateWorkflow(id=workflow.id, first=known.where, second=workflow.where)
        self._workflows[workflow.id] = workflow
        self._for_event = {}
        for watcher in self._watchers:
            watcher(workflow)

    def watch(self, watcher: Callable[[Workflow[Any, Any]], None]) -> None:
        """Call a function with each workflow, those that are registered now and those that come later."""
        if watcher in self._watchers:
            return
        self._watchers.append(watcher)
        for workflow in self:
            watcher(workflow)

    def find(self, id: str) -> Workflow[Any, Any] | None:
        """Return the workflow, or None if no imported module declares it."""
        return self._workflows.get(id)

    def get(self, id: str) -> Workflow[Any, Any]:
        """Return the workflow.

        Raises:
            UnknownWorkflow: No imported module declares it; the error names the nearest id.
        """
        if id in self._workflows:
            return self._workflows[id]
        close = difflib.get_close_matches(id, self._workflows, n=1)
        raise UnknownWorkflow(id=id, near=f" Did you mean {close[0]!r}?" if close else "")

    def for_event(self, name: str) -> list[Workflow[Any, Any]]:
        """Return the workflows that have a trigger for events of this name."""
        cache, found = self._for_event, self._for_event.get(name)
        if found is None:
            found = [each for each in self if any(t.fits(name) for t in each.triggers)]
            if len(cache) < CACHED:
                cache[name] = found
        return found

    def snapshot(self) -> dict[str, Workflow[Any, Any]]:
        """Return the present content, for ``restore``."""
        return dict(self._workflows)

    def restore(self, content: dict[str, Workflow[Any, Any]]) -> None:
        """Replace the content; for tests."""
        self._workflows = dict(content)
        self._for_event = {}


registry = Registry()
