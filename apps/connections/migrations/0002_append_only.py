"""A signature over a request is never changed or taken away, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER connections_requestsignature_append_only BEFORE UPDATE OR DELETE ON connections_requestsignature
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
"""
BACKWARD = "DROP TRIGGER connections_requestsignature_append_only ON connections_requestsignature;"


class Migration(migrations.Migration):
    dependencies = [("connections", "0001_initial"), ("core", "0002_epoch_and_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
