from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    """Old idempotency keys are found by their ids, which are times."""

    atomic = False

    dependencies = [("common", "0009_names")]

    operations = [RemoveIndexConcurrently("idempotencykey", "idempotency_key_age")]
