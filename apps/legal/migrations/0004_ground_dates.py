"""Grounds of refusal get the dates between which they may be chosen; new rules of `legal/data` are added.

How long a provider has to correct wrong data, and the last year whose holidays are announced.
"""

import datetime

import django.core.validators
from django.db import migrations, models
from django.db.models import F, Q
from django.utils import timezone

from apps.legal import reference


def end_the_inactive(apps, schema_editor) -> None:
    rows = apps.get_model("legal", "RefusalGround").objects.filter(is_active=False)
    rows.update(effective_to=timezone.localdate())


class Migration(migrations.Migration):
    dependencies = [("legal", "0003_new_year_2026")]
    operations = [
        migrations.AlterField(
            "refusalground",
            "code",
            models.CharField(
                max_length=10,
                validators=[django.core.validators.RegexValidator("^[A-Z][0-9A-Z]{0,9}$", "A capital letter and digits: R7.")],
                verbose_name="code",
            ),
        ),
        migrations.AddField(
            "refusalground",
            "effective_from",
            models.DateField(default=datetime.date(2020, 5, 25), verbose_name="effective from"),
        ),
        migrations.AddField(
            "refusalground", "effective_to", models.DateField(blank=True, null=True, verbose_name="effective to")
        ),
        migrations.RunPython(end_the_inactive, migrations.RunPython.noop),
        migrations.RemoveField("refusalground", "is_active"),
        migrations.AlterModelOptions(
            "refusalground",
            {"ordering": ["code", "-effective_from"], "verbose_name": "refusal ground", "verbose_name_plural": "refusal grounds"},
        ),
        migrations.AddConstraint(
            "refusalground",
            models.UniqueConstraint(fields=["code", "effective_from"], name="legal_refusalground_once_a_day"),
        ),
        migrations.AddConstraint(
            "refusalground",
            models.UniqueConstraint(
                fields=["code"], condition=Q(effective_to__isnull=True), name="legal_refusalground_one_open"
            ),
        ),
        migrations.AddConstraint(
            "refusalground",
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")), name="legal_refusalground_period"
            ),
        ),
        migrations.RunPython(reference.load, migrations.RunPython.noop),
    ]
