"""Who has left an agreement, and what ends soon, are found by indexes: few, of many."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agreements", "0019_step_clocks")]

    operations = [
        migrations.AddIndex(
            model_name="party",
            index=models.Index(
                condition=models.Q(("left_at__isnull", False)), fields=["organization"], name="agreements_party_left"
            ),
        ),
        migrations.AddIndex(
            model_name="agreement",
            index=models.Index(
                condition=models.Q(("status__in", ["in_force", "suspended"]), ("valid_to__isnull", False)),
                fields=["valid_to"],
                name="agreements_agreement_ends",
            ),
        ),
    ]
