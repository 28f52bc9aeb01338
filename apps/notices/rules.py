"""Who looks after what leaves the platform. Roles are known one floor up, so the predicate asks memberships by name."""

import rules


@rules.predicate
def operates(user) -> bool:
    return user.is_active and user.memberships.filter(role="operator", ended_at__isnull=True).exists()


rules.add_perm("notices.view_outboxmessage", operates)
rules.add_perm("notices.send_again", operates)
