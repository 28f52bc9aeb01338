"""CC-04: what four eyes mean is in the database: raw SQL, an import, a shell or a superuser get no further than a person."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError

from apps.accounts.models import User
from apps.agreements.actions import agree_content, sign_agreement
from apps.agreements.models import Agreement, Consent, Signature
from apps.core.errors import NotPermitted
from apps.organizations.choices import Role
from tests.factories.agreements import accepted, awaiting_signatures, negotiating

INSERT = """
INSERT INTO agreements_signature (uuid, created_at, updated_at, version_id, party_id, signer_id, signer_name, drafted_by_id, basis,
                                  signed_hash, signed_at)
VALUES (gen_random_uuid(), now(), now(), %s, %s, %s, '', %s, %s, %s, now())
"""


def raw_signature(version, party, signer, *, drafted_by=None, basis="portal"):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            INSERT, [version.pk, party.pk, signer.pk, drafted_by or version.drafted_by_id, basis, version.content_hash]
        )


def sides(agreement):
    return agreement.parties.get(side="consumer"), agreement.parties.get(side="provider")


def test_cc_04_the_drafter_signs_nothing_by_raw_sql(special):
    agreement = awaiting_signatures(special)
    version = agreement.current_version
    consumer, provider = sides(agreement)
    for party in (consumer, provider):
        with pytest.raises(IntegrityError, match="four_eyes"):
            raw_signature(version, party, version.drafted_by)
    assert not Signature.objects.exists()


def test_cc_04_a_lie_about_the_drafter_is_refused(special):
    agreement = awaiting_signatures(special)
    version = agreement.current_version
    with pytest.raises(IntegrityError, match="drafter"):
        raw_signature(version, sides(agreement)[1], version.drafted_by, drafted_by=special.operator.pk)


@pytest.mark.parametrize("basis", ["portal", "pdf", "request", "standing_terms", "succession"])
def test_cc_04_one_hand_on_both_sides_is_refused_whatever_the_basis(special, basis):
    agreement = awaiting_signatures(special)
    version = agreement.current_version
    consumer, provider = sides(agreement)
    raw_signature(version, consumer, special.consumer_signer, basis=basis)
    with pytest.raises(IntegrityError):
        raw_signature(version, provider, special.consumer_signer, basis=basis)
    assert Signature.objects.count() == 1


def test_cc_04_a_party_of_another_agreement_signs_nothing(special):
    agreement, other = awaiting_signatures(special), negotiating(special)
    with pytest.raises(IntegrityError, match="another agreement"):
        raw_signature(agreement.current_version, sides(other)[0], special.consumer_signer)


def test_cc_04_a_party_does_not_change_sides_and_a_signature_does_not_change(special):
    agreement = awaiting_signatures(special)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=agreement.current_version.content_hash)
    for statement in (
        "UPDATE agreements_party SET side = 'provider' WHERE side = 'consumer'",
        "UPDATE agreements_signature SET signer_id = drafted_by_id",
        "DELETE FROM agreements_signature",
        "UPDATE agreements_agreementversion SET content_hash = repeat('0', 64)",
    ):
        with pytest.raises((ProgrammingError, IntegrityError)), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_cc_04_one_officer_agrees_for_one_side_by_raw_orm_too(special):
    agreement = negotiating(special)
    version = agreement.current_version
    consumer, _provider = sides(agreement)
    with pytest.raises(IntegrityError, match="both sides"), transaction.atomic():
        Consent.objects.create(version=version, party=consumer, officer=special.provider_officer)


def test_cc_04_one_person_with_roles_on_both_sides_gets_no_further_through_the_verbs(special):
    agreement = negotiating(special)
    special.provider_officer.memberships.create(organization=special.consumer, role=Role.CONSUMER_OFFICER)
    with pytest.raises(NotPermitted):
        agree_content(
            agreement, by=User.objects.get(pk=special.provider_officer.pk), content_hash=agreement.current_version.content_hash
        )


def test_cc_04_a_superuser_signs_and_confirms_nothing(special, w):
    agreement = awaiting_signatures(special)
    special.stranger.is_superuser = special.stranger.is_staff = True
    special.stranger.save()
    with pytest.raises(NotPermitted):
        sign_agreement(agreement, by=special.stranger, content_hash=agreement.current_version.content_hash)
    record = accepted(w).acceptances.get()
    with pytest.raises(IntegrityError, match="four_eyes"), transaction.atomic():
        type(record).objects.filter(pk=record.pk).update(decided_by=record.recorded_by)


def test_an_agreement_in_force_has_its_moment(special):
    agreement = awaiting_signatures(special)
    with pytest.raises(IntegrityError, match="in_force_since"), transaction.atomic():
        Agreement.objects.filter(pk=agreement.pk).update(status="in_force")
