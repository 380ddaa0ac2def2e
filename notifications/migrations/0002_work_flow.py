from django.db import migrations, models


class Migration(migrations.Migration):
    """Work that waits already belongs to its agent's own flow."""

    dependencies = [("notifications", "0001_initial")]

    operations = [
        migrations.AddField("work", "flow", models.UUIDField(null=True)),
        migrations.RunSQL(
            "UPDATE notifications_work SET flow = coalesce(batch_id, client_id)",
            reverse_sql=migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            "work",
            "flow",
            models.UUIDField(
                help_text="The batch, or the agent where there is none: an agent's flows take turns."
            ),
        ),
    ]
