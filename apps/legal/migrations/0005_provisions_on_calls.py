"""The provisions that refusals of calls cite become rows with dates; those of `legal/data` are added."""

import uuid

from django.db import migrations, models

from apps.legal import reference


class Migration(migrations.Migration):

    dependencies = [
        ('legal', '0004_ground_dates'),
    ]

    operations = [
        migrations.CreateModel(
            name='LegalBasis',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name='identifier')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('code', models.CharField(max_length=30, verbose_name='code')),
                ('name', models.CharField(max_length=300, verbose_name='what it is about')),
                ('citation', models.CharField(max_length=300, verbose_name='legal basis')),
                ('effective_from', models.DateField(verbose_name='effective from')),
                ('effective_to', models.DateField(blank=True, null=True, verbose_name='effective to')),
            ],
            options={
                'verbose_name': 'provision on calls',
                'verbose_name_plural': 'provisions on calls',
                'ordering': ['code', '-effective_from'],
                'constraints': [models.UniqueConstraint(fields=('code', 'effective_from'), name='legal_legalbasis_once_a_day'), models.UniqueConstraint(condition=models.Q(('effective_to__isnull', True)), fields=('code',), name='legal_legalbasis_one_open'), models.CheckConstraint(condition=models.Q(('effective_to__isnull', True), ('effective_to__gt', models.F('effective_from')), _connector='OR'), name='legal_legalbasis_period')],
            },
        ),
        migrations.RunPython(reference.load, migrations.RunPython.noop),
    ]
