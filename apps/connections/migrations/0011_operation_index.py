"""The newest requests of an operation are read from an index alone; that of the key it replaces."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0010_paper_clock"), ("registry", "0010_kept_by_the_successor")]

    operations = [
        migrations.AddIndex(
            model_name="requestedoperation",
            index=models.Index(fields=["operation", "-request"], name="connections_operation_newest"),
        ),
        migrations.AlterField(
            model_name="requestedoperation",
            name="operation",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.operation",
                verbose_name="operation",
            ),
        ),
    ]
