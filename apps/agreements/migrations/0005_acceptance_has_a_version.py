"""Every test record names the version it was made under; older ones the version in force."""

import django.db.models.deletion
from django.db import migrations, models


def fill(apps, schema_editor):
    record, version = apps.get_model("agreements", "AcceptanceRecord"), apps.get_model("agreements", "AgreementVersion")
    for row in record.objects.filter(for_version__isnull=True):
        versions = version.objects.filter(agreement_id=row.agreement_id).order_by("-number")
        row.for_version = versions.filter(state="current").first() or versions.first()
        row.save(update_fields=["for_version"])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("agreements", "0004_casework")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="acceptancerecord",
            name="for_version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="acceptances", to="agreements.agreementversion"
            ),
        ),
    ]
