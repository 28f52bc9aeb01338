"""What all factories have in common."""

from __future__ import annotations

import factory


class Factory(factory.django.DjangoModelFactory):
    """Numbers of five digits: no name or code is the beginning of another ("Sở 5" would be found on the page that shows "Sở 566")."""

    class Meta:
        abstract = True

    @classmethod
    def _setup_next_sequence(cls) -> int:
        return 10_000
