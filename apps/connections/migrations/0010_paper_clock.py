"""A paper that was entered is among the open cases; half of the time to complete a return."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0009_signature_of_each_signer'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='connectionrequest',
            name='connections_request_open_due',
        ),
        migrations.RemoveIndex(
            model_name='connectionrequest',
            name='connections_request_running',
        ),
        migrations.AddField(
            model_name='connectionrequest',
            name='return_half_at',
            field=models.DateTimeField(blank=True, db_index=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name='connectionrequest',
            index=models.Index(condition=models.Q(('status__in', ('checking', 'returned', 'awaiting_provider')), models.Q(('channel', 'paper'), ('status', 'draft')), _connector='OR'), fields=['due_at', '-id'], name='connections_request_open_due'),
        ),
        migrations.AddIndex(
            model_name='connectionrequest',
            index=models.Index(models.OrderBy(models.F('paused_at'), nulls_first=True), models.F('due_at'), models.F('id'), condition=models.Q(('status__in', ('checking', 'returned', 'awaiting_provider')), models.Q(('channel', 'paper'), ('status', 'draft')), _connector='OR'), name='connections_request_running'),
        ),
    ]
