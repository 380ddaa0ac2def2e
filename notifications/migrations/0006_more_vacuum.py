from django.db import migrations

_EARLY = """
ALTER TABLE notifications_{} SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 1
);
"""


class Migration(migrations.Migration):
    """Each message updates both once: a fifth of a large table is too long to wait for a vacuum."""

    dependencies = [("notifications", "0005_channels")]

    operations = [
        migrations.RunSQL(_EARLY.format(table), reverse_sql=migrations.RunSQL.noop)
        for table in ("delivery", "attempt")
    ]
