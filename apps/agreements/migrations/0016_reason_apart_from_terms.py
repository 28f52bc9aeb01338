from django.db import migrations
from django.db.models import F


def tell_them_apart(apps, schema_editor):
    """One text was both the other terms and the reason of a change. In drafts that nobody has signed it becomes the reason.

    The terms that run are written back beside it, so no text is lost, and whoever means other terms writes them again. What
    somebody has signed, or what was submitted, stays letter by letter: its hash is what was signed.
    """
    basis = apps.get_model("agreements", "RequestBasis")
    requests = apps.get_model("connections", "ConnectionRequest")
    rows = basis.objects.filter(
        request__kind__in=("change", "renewal"), request__status__in=("draft", "returned"), request__signatures__isnull=True,
        starts_from__isnull=False,
    ).exclude(request__note="")  # fmt: skip
    for row in rows.select_related("request", "starts_from").iterator(chunk_size=500):
        terms = row.starts_from.content.get("other_terms", "")
        if row.request.note != terms:
            # The version moves on too: a form that was opened before does not write the old text over it.
            requests.objects.filter(pk=row.request_id).update(
                change_reason=row.request.note, note=terms, version=F("version") + 1
            )


def together_again(apps, schema_editor):
    """The field goes away with its migration: the reason is kept where it was before, unless other terms were written."""
    for row in apps.get_model("agreements", "RequestBasis").objects.exclude(request__change_reason="").select_related(
        "request", "starts_from"
    ):
        if row.starts_from is not None and row.request.note == row.starts_from.content.get("other_terms", ""):
            type(row.request).objects.filter(pk=row.request_id).update(note=row.request.change_reason, version=F("version") + 1)


class Migration(migrations.Migration):
    dependencies = [("agreements", "0015_left"), ("connections", "0008_change_reason")]
    operations = [migrations.RunPython(tell_them_apart, together_again)]
