from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models

import example_project.shop.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reference",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, unique=True, verbose_name="reference"
                    ),
                ),
                ("quantity", models.PositiveIntegerField(verbose_name="quantity")),
                ("total", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="total")),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("placed", "placed"),
                            ("reserved", "stock reserved"),
                            ("awaiting_approval", "awaiting approval"),
                            ("approved", "approved"),
                            ("awaiting_payment", "awaiting payment"),
                            ("paid", "paid"),
                            ("shipped", "shipped"),
                            ("cancelled", "cancelled"),
                        ],
                        default="placed",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=100, verbose_name="reason")),
                (
                    "cooling_off",
                    models.CharField(
                        default=example_project.shop.models.default_cooling_off,
                        help_text="As promised when the order was placed, such as 1h or 2 days.",
                        max_length=20,
                        verbose_name="cooling-off period",
                    ),
                ),
                ("approved_by", models.CharField(blank=True, max_length=150, verbose_name="approved by")),
                ("placed_at", models.DateTimeField(auto_now_add=True, verbose_name="placed at")),
            ],
            options={
                "verbose_name": "order",
                "verbose_name_plural": "orders",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("price", models.DecimalField(decimal_places=2, max_digits=10, verbose_name="price")),
                ("stock", models.PositiveIntegerField(default=0, verbose_name="stock")),
            ],
            options={
                "verbose_name": "product",
                "verbose_name_plural": "products",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="amount")),
                ("paid_at", models.DateTimeField(auto_now_add=True, verbose_name="paid at")),
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="shop.order", verbose_name="order"
                    ),
                ),
            ],
            options={
                "verbose_name": "payment",
                "verbose_name_plural": "payments",
            },
        ),
        migrations.AddField(
            model_name="order",
            name="product",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="shop.product", verbose_name="product"
            ),
        ),
        migrations.CreateModel(
            name="Shipment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("tracking", models.CharField(max_length=40, unique=True, verbose_name="tracking number")),
                ("shipped_at", models.DateTimeField(auto_now_add=True, verbose_name="shipped at")),
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="shop.order", verbose_name="order"
                    ),
                ),
            ],
            options={
                "verbose_name": "shipment",
                "verbose_name_plural": "shipments",
            },
        ),
    ]
