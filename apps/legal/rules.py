"""Who may change the law's rows. The legal officer's role is known two floors up, so the predicate asks memberships by name."""

import rules


@rules.predicate
def is_legal_officer(user) -> bool:
    return user.is_active and user.memberships.filter(role="legal_officer", ended_at__isnull=True).exists()


rules.add_perm("legal.change_rule", is_legal_officer)
