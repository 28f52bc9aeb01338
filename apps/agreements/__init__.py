"""Agreements: what was agreed, by whom it was signed, and what the gateway therefore lets through.

The content of a version is immutable and named by its hash; parties sign the hash. When the last signature
is there the agreement is in force, and its grants open in the same transaction that raises the policy epoch.
Nothing else opens a grant. Suspending, ending or expiring closes them the same way, for the very next call.
The verbs that cross floors (approving a request makes an agreement) live here, with all their doors.
"""
