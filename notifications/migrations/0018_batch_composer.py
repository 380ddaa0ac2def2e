from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0017_throttled_work"),
    ]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="composer",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The member of staff who composed it in the console.",
                max_length=150,
            ),
            preserve_default=False,
        ),
    ]
