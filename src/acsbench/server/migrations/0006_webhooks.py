"""Webhooks and their deliveries."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import acsbench.server.models.webhooks
import acsbench.server.names

_ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def _public_id() -> models.CharField[str, str]:
    return models.CharField(
        default=acsbench.server.names.new_public_id, editable=False, max_length=24, unique=True
    )


class Migration(migrations.Migration):
    dependencies = [("board", "0005_freeze")]

    operations = [
        migrations.CreateModel(
            name="CourierPlace",
            fields=[
                ("name", models.CharField(max_length=60, primary_key=True, serialize=False)),
                ("position", models.PositiveBigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", _ID.clone()),
                ("public_id", _public_id()),
                ("url", models.CharField(max_length=500)),
                ("secret", models.CharField(max_length=64)),
                ("events", models.JSONField(default=acsbench.server.models.webhooks._nothing)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to="board.task",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to="board.team",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", _ID.clone()),
                ("public_id", _public_id()),
                ("event", models.CharField(max_length=30)),
                ("body", models.TextField()),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("status", models.CharField(default="waiting", max_length=10)),
                ("answer", models.CharField(blank=True, max_length=100)),
                (
                    "next_try_at",
                    models.DateTimeField(
                        db_index=True, default=django.utils.timezone.now, null=True
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="board.webhook",
                    ),
                ),
            ],
        ),
    ]
