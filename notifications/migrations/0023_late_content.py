from django.db import migrations, models

STAGES = [
    ("content", "What sensitive messages say, once they have arrived"),
    ("late", "The same once more, of those whose key is older than they are"),
    ("all", "What messages say, and the addresses they went to"),
]


class Migration(migrations.Migration):
    """Words only: no column changes."""

    dependencies = [("notifications", "0022_recipient_by_plain_name")]

    operations = [
        migrations.AlterField(
            model_name="contentmark",
            name="stage",
            field=models.CharField(choices=STAGES, max_length=10),
        ),
        migrations.AlterField(
            model_name="contenthold",
            name="stage",
            field=models.CharField(choices=STAGES, max_length=10),
        ),
    ]
