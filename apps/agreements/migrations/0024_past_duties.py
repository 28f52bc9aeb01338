"""What a party did when it left is done; one that was bound again by a merge does it anew when it leaves or the agreement ends."""

from django.db import migrations, models

# Done by one that is a party of what runs: it had left and came back.
CAME_BACK = """
UPDATE agreements_duty d SET is_past = true
FROM agreements_party p, agreements_agreement a
WHERE p.id = d.party_id AND a.id = d.agreement_id AND d.done_at IS NOT NULL AND p.left_at IS NULL
  AND a.status IN ('in_force', 'suspended')
"""


class Migration(migrations.Migration):
    dependencies = [("agreements", "0023_waiting_drafts")]

    operations = [
        migrations.AddField(
            model_name="duty",
            name="is_past",
            field=models.BooleanField(default=False, verbose_name="done before the party came back"),
        ),
        migrations.RemoveConstraint(model_name="duty", name="agreements_duty_once"),
        migrations.AddConstraint(
            model_name="duty",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_past", False)), fields=("agreement", "party", "kind"), name="agreements_duty_once"
            ),
        ),
        migrations.RunSQL(CAME_BACK, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="duty",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_past", False), ("done_at__isnull", False), _connector="OR"),
                name="agreements_duty_past_is_done",
            ),
        ),
    ]
