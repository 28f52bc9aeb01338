"""Who has left, and what has ended, is suspended no more: the suspensions of one consumer that nobody closed then are over."""

from django.db import migrations

# Since it left, or the agreement ended; by whom, the audit log says.
OVER = """
UPDATE agreements_consumersuspension s SET updated_at = now(),
    lifted_at = coalesce(p.left_at, a.ended_at, now()),
    lifted_by_id = coalesce((
        SELECT e.actor_id FROM audit_auditevent e
        WHERE e.object_type = 'agreements.agreement' AND e.object_ref = a.uuid::text AND e.outcome = 'done'
            AND e.actor_id IS NOT NULL AND CASE WHEN p.left_at IS NULL THEN e.event IN ('agreement.ending', 'agreement.expired')
                ELSE e.event = 'agreement.left' AND e.facts ->> 'consumer' = o.code END
        ORDER BY e.id DESC LIMIT 1
    ), s.suspended_by_id)
FROM agreements_party p
JOIN agreements_agreement a ON a.id = p.agreement_id
JOIN organizations_organization o ON o.id = p.organization_id
WHERE p.id = s.party_id AND s.lifted_at IS NULL
    AND (p.left_at IS NOT NULL OR a.status IN ('ending', 'terminated', 'expired'))
"""


class Migration(migrations.Migration):
    dependencies = [
        ("agreements", "0021_extended_test"),
        ("audit", "0002_append_only"),
    ]

    operations = [migrations.RunSQL(OVER, migrations.RunSQL.noop)]
