"""Who may do what with sync: the operator runs it; operator, legal officer and auditor look at it."""

import rules

from apps.organizations.roles import is_operator, is_platform_reader

operator = rules.predicate(lambda user: is_operator(user), name="is_operator")
reader = rules.predicate(lambda user: is_platform_reader(user), name="is_platform_reader")
machine = rules.predicate(lambda user: bool(getattr(user, "is_machine", False)) and user.is_active, name="is_machine")

rules.add_perm("sync.view_source", reader)
rules.add_perm("sync.view_syncrun", reader)
rules.add_perm("sync.request_run", operator | machine)
rules.add_perm("sync.change_source", operator)
rules.add_perm("sync.approve_push", operator)
