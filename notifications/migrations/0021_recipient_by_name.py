from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.contrib.postgres.search import SearchVector
from django.db import migrations
from django.db.models.fields.json import KT


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("notifications", "0020_names")]

    operations = [
        AddIndexConcurrently(
            "recipient",
            GinIndex(SearchVector(KT("data__name"), config="simple"), name="recipient_by_name"),
        ),
    ]
