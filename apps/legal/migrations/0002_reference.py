"""The law as the platform starts with it (`legal/data/`)."""

from django.db import migrations

from apps.legal import reference


class Migration(migrations.Migration):
    dependencies = [("legal", "0001_initial")]
    operations = [migrations.RunPython(reference.load, migrations.RunPython.noop)]
