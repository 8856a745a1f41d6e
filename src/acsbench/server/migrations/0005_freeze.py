"""The permanent form of a board: what was shown when it was closed."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("board", "0004_rate_buckets")]

    operations = [
        migrations.CreateModel(
            name="Freeze",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("document", models.TextField()),
                ("details", models.JSONField()),
                ("provenance", models.JSONField()),
                ("audit_seq", models.PositiveBigIntegerField()),
                ("audit_hash", models.CharField(max_length=64)),
                ("doi", models.CharField(blank=True, max_length=200)),
                ("frozen_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "task_version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="freeze",
                        to="board.taskversion",
                    ),
                ),
            ],
        ),
    ]
