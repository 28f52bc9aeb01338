"""Who asks, in the access matrix. The same ten people in every row.

anonymous   nobody logged in
nobody      logged in, no role anywhere
consumer    consumer officer of the agency that asked (own organization)
signer      signer of that agency (own organization)
provider    provider officer of the agency that was asked (the other party)
stranger    consumer officer, provider officer and signer of a third agency (other organization)
administrator of the agency that asked (own organization): gives roles, takes no step of a case
operator    of the platform
legal       legal officer of the platform
auditor     of the platform
"""

from __future__ import annotations

ACTORS = ("anonymous", "nobody", "consumer", "signer", "provider", "stranger", "administrator", "operator", "legal", "auditor")
LOGGED_IN = ACTORS[1:]
