"""A message that nobody is to get is dropped, and raises no alarm. What webhooks left behind when they were paused becomes so."""

from django.db import migrations, models

# Closed before its last attempt, or called undeliverable: what was tried 14 times in vain for another reason stays given up.
_DROPPED = """
UPDATE notices_outboxmessage SET dropped = true
WHERE channel = 'catalog-webhook' AND sent_at IS NULL AND failed_at IS NOT NULL AND (attempts < 14 OR last_error LIKE 'Undeliverable:%')
"""


class Migration(migrations.Migration):
    dependencies = [("notices", "0002_outbox_waiting")]
    operations = [
        migrations.AddField(
            model_name="outboxmessage",
            name="dropped",
            field=models.BooleanField(default=False, editable=False, verbose_name="dropped"),
        ),
        migrations.RunSQL(_DROPPED, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="outboxmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(("dropped", False), ("failed_at__isnull", False), _connector="OR"),
                name="notices_outboxmessage_dropped_is_closed",
            ),
        ),
    ]
