"""Accounts: who a person or a machine is. What they may do is decided by memberships, two floors up.

Login is django-allauth's (password now; second factor and SSO later); the admin's own login form is
routed through it, so that there is one door. Machines that act inside the portal (the clock, the sync
worker) are users too, without a usable password.
"""
