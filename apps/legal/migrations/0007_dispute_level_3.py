"""The term of the third level of a dispute: a row of `legal/data/rules.csv`."""

from django.db import migrations

from apps.legal import reference


class Migration(migrations.Migration):
    dependencies = [("legal", "0006_versions")]
    operations = [migrations.RunPython(reference.load, migrations.RunPython.noop)]
