"""What the approver reads before deciding: classes, what is new, overlaps, load."""

from apps.agreements.preview import preview, preview_of
from tests.factories.agreements import accepted, negotiating
from tests.factories.connections import forwarded


def test_a_first_request_opens_everything_it_asks_for(w):
    personal = next(f for f in w.operation.fields.all() if f.is_leaf and f.personal_data == "basic")
    found = preview(forwarded(w, scope={w.operation: [*w.fields(), personal.path]}))
    (row,) = found.operations
    assert row.classes == {"none": 3, "basic": 1}
    assert set(row.new_fields) == {*w.fields(), personal.path}
    assert found.overlaps == ()


def test_what_the_system_reads_already_is_an_overlap_and_not_new(w):
    agreement = accepted(w)
    found = preview(forwarded(w, scope={w.operation: w.fields(5)}))
    assert [(row.agreement, row.shared_fields) for row in found.overlaps] == [(agreement.number, 3)]
    assert set(found.operations[0].new_fields) == set(w.fields(5)) - set(w.fields(3))


def test_the_load_is_what_was_agreed_and_what_is_asked_against_capacity(w):
    accepted(w)
    (load,) = preview(forwarded(w, calls_per_second=46)).loads
    assert (load.capacity, load.agreed, load.asked, load.exceeds) == (50, 5, 46, True)
    (load,) = preview(forwarded(w, calls_per_second=45)).loads
    assert not load.exceeds


def test_before_signing_a_version_is_read_like_a_request(special):
    agreement = negotiating(special, calls_per_second=60)
    found = preview_of(agreement.current_version)
    assert found.operations[0].classes == {"none": 3}
    assert set(found.operations[0].new_fields) == set(special.fields())
    assert found.exceeds
    assert not found.opens_sensitive


def test_a_version_in_force_is_not_counted_against_itself(w):
    agreement = accepted(w)
    found = preview_of(agreement.current_version)
    assert found.overlaps == ()
    assert found.operations[0].new_fields == ()
    assert (found.loads[0].agreed, found.loads[0].asked) == (0, 5)


def test_a_longer_request_takes_no_more_queries(w, django_assert_num_queries):
    request = forwarded(w)
    accepted(w)
    with django_assert_num_queries(5):
        preview(request)
    more = forwarded(w, scope={w.operation: w.fields(9)})
    with django_assert_num_queries(5):
        preview(more)
