"""The database itself refuses to change or delete an audit row, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_auditevent
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
"""
BACKWARD = "DROP TRIGGER audit_append_only ON audit_auditevent; DROP TRIGGER audit_no_truncate ON audit_auditevent;"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial"), ("core", "0002_epoch_and_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
