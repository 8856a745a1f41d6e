from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("board", "0002_quota_state_only_locks"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="submission",
            name="submission_waiting",
        ),
        migrations.AddIndex(
            model_name="submission",
            index=models.Index(
                fields=["state", "team", "task_version", "id"], name="submission_by_state"
            ),
        ),
    ]
