"""Buckets of rate limits, for boards with several web processes."""

from typing import Any

from django.db import migrations, models


def _unlogged(_apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE board_ratebucket SET UNLOGGED")


class Migration(migrations.Migration):
    dependencies = [("board", "0003_index_by_state")]

    operations = [
        migrations.CreateModel(
            name="RateBucket",
            fields=[
                ("key", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("level", models.FloatField()),
                ("granted", models.BooleanField()),
                ("at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.RunPython(_unlogged, migrations.RunPython.noop),
    ]
