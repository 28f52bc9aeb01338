"""The service that a question is about (WF-46)."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('disputes', '0004_clocks'),
        ('registry', '0010_kept_by_the_successor'),
    ]

    operations = [
        migrations.AddField(
            model_name='ticket',
            name='service',
            field=models.ForeignKey(blank=True, help_text='Of those under the agreement, the one whose data it is about; empty for the agreement as a whole.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tickets', to='registry.dataservice', verbose_name='service'),
        ),
    ]
