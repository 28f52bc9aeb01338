"""How long before its end an agreement or an account is told of: rows of `legal/data/rules.csv`, with the days that were constants."""

from django.db import migrations

from apps.legal import reference


class Migration(migrations.Migration):
    dependencies = [("legal", "0007_dispute_level_3")]
    operations = [migrations.RunPython(reference.load, migrations.RunPython.noop)]
