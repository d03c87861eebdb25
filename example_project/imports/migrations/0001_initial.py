from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Import",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.CharField(default="sales.csv", max_length=100, verbose_name="file")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "requested"),
                            ("running", "running"),
                            ("finished", "finished"),
                        ],
                        default="requested",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("rows", models.PositiveIntegerField(default=0, verbose_name="rows")),
                ("chunks", models.PositiveIntegerField(default=0, verbose_name="chunks")),
                ("chunks_done", models.PositiveIntegerField(default=0, verbose_name="chunks done")),
                ("requested_at", models.DateTimeField(auto_now_add=True, verbose_name="requested at")),
            ],
            options={
                "verbose_name": "import",
                "verbose_name_plural": "imports",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="RegionTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("region", models.CharField(max_length=30, verbose_name="region")),
                ("sales", models.PositiveIntegerField(verbose_name="sales")),
                ("amount", models.DecimalField(decimal_places=2, max_digits=14, verbose_name="amount")),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="totals",
                        to="imports.import",
                        verbose_name="import",
                    ),
                ),
            ],
            options={
                "verbose_name": "region total",
                "verbose_name_plural": "region totals",
                "ordering": ["region"],
                "constraints": [
                    models.UniqueConstraint(fields=("source", "region"), name="imports_region_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Sale",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("line", models.PositiveIntegerField(verbose_name="line")),
                ("sold_on", models.DateField(verbose_name="sold on")),
                ("region", models.CharField(max_length=30, verbose_name="region")),
                ("product", models.CharField(max_length=60, verbose_name="product")),
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                ("amount", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="amount")),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sales",
                        to="imports.import",
                        verbose_name="import",
                    ),
                ),
            ],
            options={
                "verbose_name": "sale",
                "verbose_name_plural": "sales",
                "constraints": [models.UniqueConstraint(fields=("source", "line"), name="imports_line_once")],
            },
        ),
    ]
