"""Half of the time and escalation for disputes, a clock for tickets. What was told as late so far stays told."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F


def told_before(apps, schema_editor) -> None:
    rows = apps.get_model("disputes", "Dispute").objects.filter(reminded_at__isnull=False)
    rows.update(escalated_at=F("reminded_at"))


class Migration(migrations.Migration):

    dependencies = [
        ('disputes', '0003_maintenance'),
        ('legal', '0004_ground_dates'),
    ]

    operations = [
        migrations.AddField(
            model_name='dispute',
            name='escalated_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='dispute',
            name='half_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='half of the time'),
        ),
        migrations.AddField(
            model_name='ticket',
            name='deadline_rule',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='legal.legalrule'),
        ),
        migrations.AddField(
            model_name='ticket',
            name='escalated_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='ticket',
            name='half_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='half of the time'),
        ),
        migrations.AddField(
            model_name='ticket',
            name='reminded_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.RunPython(told_before, migrations.RunPython.noop),
    ]
