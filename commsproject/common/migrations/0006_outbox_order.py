import django.utils.timezone
from django.db import migrations, models

import commsproject.common.ids


class Migration(migrations.Migration):
    """The outbox gets a key of another kind: nothing has read the old one's rows."""

    dependencies = [
        ('common', '0005_personal_data'),
    ]

    operations = [
        migrations.DeleteModel(name='OutboxEvent'),
        migrations.CreateModel(
            name='OutboxEvent',
            fields=[
                ('number', models.BigAutoField(primary_key=True, serialize=False)),
                ('id', models.UUIDField(default=commsproject.common.ids.new_id, editable=False)),
                ('type', models.CharField(max_length=60)),
                ('items', models.JSONField()),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('is_handed', models.BooleanField(default=False, help_text='Those inside this installation have heard of it.')),
            ],
            options={
                'ordering': ['number'],
                'indexes': [models.Index(condition=models.Q(('is_handed', False)), fields=['number'], name='outbox_event_new')],
            },
        ),
    ]
