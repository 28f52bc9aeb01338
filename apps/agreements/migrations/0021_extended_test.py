"""The time to test a system may be extended: when it was."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agreements", "0020_left_and_ends")]

    operations = [
        migrations.AddField(
            model_name="stepclock",
            name="extended_at",
            field=models.DateTimeField(null=True, verbose_name="extended at"),
        ),
        migrations.AddConstraint(
            model_name="stepclock",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("extended_at__isnull", True),
                    models.Q(("extended_at__gte", models.F("begun_at")), ("step", "test")),
                    _connector="OR",
                ),
                name="agreements_stepclock_extended_test",
            ),
        ),
    ]
