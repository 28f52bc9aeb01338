"""Lists of a party and who is on a side at all are read from indexes alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agreements", "0024_past_duties")]

    operations = [
        migrations.RemoveIndex(model_name="party", name="agreements_party_newest"),
        migrations.AddIndex(
            model_name="party",
            index=models.Index(
                fields=["organization", "-agreement"], include=("is_joining", "left_at"), name="agreements_party_newest"
            ),
        ),
        migrations.AddIndex(
            model_name="party",
            index=models.Index(
                condition=models.Q(("left_at__isnull", True)),
                fields=["organization", "side", "-agreement"],
                name="agreements_party_side",
            ),
        ),
    ]
