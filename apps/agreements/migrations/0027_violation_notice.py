"""A suspension of a whole agreement for a violation says when that was determined and until when the parties had to be told."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agreements", "0026_provisions_in_documents")]

    operations = [
        migrations.AddField(
            model_name="suspension",
            name="determined_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="violation determined at"),
        ),
        migrations.AddField(
            model_name="suspension",
            name="notice_due_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="parties to be told by"),
        ),
        migrations.AddConstraint(
            model_name="suspension",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("determined_at__isnull", True), ("notice_due_at__isnull", True)),
                    models.Q(("determined_at__isnull", False), ("notice_due_at__isnull", False)),
                    _connector="OR",
                ),
                name="agreements_suspension_notice",
            ),
        ),
    ]
