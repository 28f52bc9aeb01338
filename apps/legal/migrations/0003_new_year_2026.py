"""The swap of New Year 2026, decreed after the holiday library was released: rows of `legal/data/calendar.csv`."""

from django.db import migrations

from apps.legal import reference


class Migration(migrations.Migration):
    dependencies = [("legal", "0002_reference")]
    operations = [migrations.RunPython(reference.load, migrations.RunPython.noop)]
