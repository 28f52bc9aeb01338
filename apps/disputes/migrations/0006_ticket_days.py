"""How many working days an explanation was given: asked again it has as many."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("disputes", "0005_ticket_service")]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="days",
            field=models.PositiveSmallIntegerField(blank=True, editable=False, null=True, verbose_name="working days given"),
        ),
    ]
