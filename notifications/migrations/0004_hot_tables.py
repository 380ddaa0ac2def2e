from django.db import migrations


class Migration(migrations.Migration):
    """Tables whose rows die young are vacuumed early; a batch's counts are rewritten in place."""

    dependencies = [("notifications", "0003_engine")]

    operations = [
        migrations.RunSQL(
            """
            ALTER TABLE notifications_batchdelta SET (
                autovacuum_vacuum_scale_factor = 0.01,
                autovacuum_vacuum_threshold = 500,
                autovacuum_vacuum_cost_delay = 0
            );
            ALTER TABLE notifications_batch SET (fillfactor = 50);
            """,
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
