"""What was published, and what was signed, is never edited: the database says so whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION registry_version_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a published version is never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.status = 'draft' OR (NEW.service_id, NEW.major, NEW.minor, NEW.uuid, NEW.published_at, NEW.published_by_id,
        NEW.ready_at, NEW.change_note, NEW.interface_spec)
       IS DISTINCT FROM (OLD.service_id, OLD.major, OLD.minor, OLD.uuid, OLD.published_at, OLD.published_by_id,
        OLD.ready_at, OLD.change_note, OLD.interface_spec) THEN
        RAISE EXCEPTION 'a published version is never edited: a new version replaces it'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER registry_version_final BEFORE UPDATE OR DELETE ON registry_serviceversion
    FOR EACH ROW EXECUTE FUNCTION registry_version_final();

CREATE FUNCTION registry_operation_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.version_id ELSE NEW.version_id END;
    before bigint := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.version_id END;
BEGIN
    IF EXISTS (SELECT 1 FROM registry_serviceversion v WHERE v.id IN (wanted, before) AND v.status <> 'draft') THEN
        RAISE EXCEPTION 'the operations of a published version are final' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER registry_operation_final BEFORE INSERT OR UPDATE OR DELETE ON registry_operation
    FOR EACH ROW EXECUTE FUNCTION registry_operation_final();

CREATE FUNCTION registry_part_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.operation_id ELSE NEW.operation_id END;
    before bigint := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.operation_id END;
BEGIN
    IF EXISTS (
        SELECT 1 FROM registry_operation o JOIN registry_serviceversion v ON v.id = o.version_id
        WHERE o.id IN (wanted, before) AND v.status <> 'draft'
    ) THEN
        RAISE EXCEPTION 'the parameters and fields of a published version are final'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER registry_parameter_final BEFORE INSERT OR UPDATE OR DELETE ON registry_parameter
    FOR EACH ROW EXECUTE FUNCTION registry_part_final();
CREATE TRIGGER registry_field_final BEFORE INSERT OR UPDATE OR DELETE ON registry_field
    FOR EACH ROW EXECUTE FUNCTION registry_part_final();

CREATE FUNCTION registry_terms_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.terms_signed_at IS NULL THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a signed regulation is never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Only its end may still be set: a new regulation replaces it.
    IF (NEW.organization_id, NEW.number, NEW.title, NEW.issued_on, NEW.effective_from, NEW.log_retention_months,
        NEW.usage_duration, NEW.terms, NEW.terms_hash, NEW.terms_signed_by_id, NEW.terms_signed_at, NEW.written_by_id)
       IS DISTINCT FROM (OLD.organization_id, OLD.number, OLD.title, OLD.issued_on, OLD.effective_from,
        OLD.log_retention_months, OLD.usage_duration, OLD.terms, OLD.terms_hash, OLD.terms_signed_by_id,
        OLD.terms_signed_at, OLD.written_by_id) THEN
        RAISE EXCEPTION 'signed terms are never edited: a new regulation replaces them'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER registry_terms_final BEFORE UPDATE OR DELETE ON registry_usageregulation
    FOR EACH ROW EXECUTE FUNCTION registry_terms_final();
"""
BACKWARD = """
DROP TRIGGER registry_terms_final ON registry_usageregulation;
DROP TRIGGER registry_field_final ON registry_field;
DROP TRIGGER registry_parameter_final ON registry_parameter;
DROP TRIGGER registry_operation_final ON registry_operation;
DROP TRIGGER registry_version_final ON registry_serviceversion;
DROP FUNCTION registry_terms_final();
DROP FUNCTION registry_part_final();
DROP FUNCTION registry_operation_final();
DROP FUNCTION registry_version_final();
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_four_eyes_and_suspension")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
