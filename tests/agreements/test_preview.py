"""What the approver reads before deciding: classes, what is new, overlaps, load."""

from apps.agreements.preview import preview
from tests.factories.agreements import accepted
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
