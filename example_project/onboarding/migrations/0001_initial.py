from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EmailLog",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("welcome", "welcome"), ("tips", "tips"), ("nudge", "nudge")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("sent_at", models.DateTimeField(auto_now_add=True, verbose_name="sent at")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "e-mail log entry",
                "verbose_name_plural": "e-mail log",
                "ordering": ["-pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "kind"), name="onboarding_one_mail_per_kind")
                ],
            },
        ),
    ]
