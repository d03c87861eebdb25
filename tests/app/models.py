from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """A visible effect of a step: one row for each time that the step's function really ran."""

    key = models.CharField(max_length=200)
    run = models.CharField(max_length=64, blank=True, default="")
    n = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.key} {self.run} {self.n}"


class Ticket(models.Model):
    """A row whose changes start workflows."""

    title = models.CharField(max_length=200, default="")
    status = models.CharField(max_length=20, default="new")
    tags = models.JSONField(default=list)
    effect = models.ForeignKey(Effect, on_delete=models.CASCADE, null=True)

    def __str__(self) -> str:
        return self.title


class UrgentTicket(Ticket):
    class Meta:
        proxy = True
