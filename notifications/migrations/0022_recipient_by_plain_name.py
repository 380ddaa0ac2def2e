from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.fields.json import KT


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("notifications", "0021_recipient_by_name")]

    operations = [
        AddIndexConcurrently(
            "recipient",
            GinIndex(
                SearchVector(
                    models.Func(
                        KT("data__name"),
                        template=(
                            "regexp_replace(normalize(%(expressions)s, NFD),"
                            " '[\u0300-\u036f]', '', 'g')"
                        ),
                        output_field=models.TextField(),
                    ),
                    config="simple",
                ),
                name="recipient_by_plain_name",
            ),
        ),
        RemoveIndexConcurrently("recipient", "recipient_by_name"),
    ]
