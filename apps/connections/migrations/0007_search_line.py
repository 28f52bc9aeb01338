"""Requests are found by words of number, title, agencies and services: one line, kept by triggers, under one index."""

import django.contrib.postgres.indexes
from django.db import migrations, models

import apps.core.search

FORWARD = """
-- Whoever writes the row, the line is this; touching it (SET search_line = '') makes it anew.
CREATE FUNCTION connections_search_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_line := to_tsvector('simple', core_word_line(concat_ws(' ', NEW.number, NEW.title,
        (SELECT concat_ws(' ', name, short_name, code, old_code) FROM organizations_organization WHERE id = NEW.consumer_id),
        (SELECT string_agg(DISTINCT concat_ws(' ', s.name, s.code, p.name, p.short_name, p.code, p.old_code), ' ')
            FROM connections_requestedoperation r JOIN registry_operation o ON o.id = r.operation_id
            JOIN registry_serviceversion v ON v.id = o.version_id JOIN registry_dataservice s ON s.id = v.service_id
            JOIN organizations_organization p ON p.id = s.provider_id WHERE r.request_id = NEW.id))));
    RETURN NEW;
END $$;
CREATE TRIGGER connections_search BEFORE INSERT OR UPDATE OF number, title, consumer_id, search_line ON connections_connectionrequest
    FOR EACH ROW EXECUTE FUNCTION connections_search_line();

CREATE FUNCTION connections_search_of_operations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE connections_connectionrequest SET search_line = '' WHERE id IN (SELECT request_id FROM changed);
    RETURN NULL;
END $$;
CREATE TRIGGER connections_search_added AFTER INSERT ON connections_requestedoperation REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION connections_search_of_operations();
CREATE TRIGGER connections_search_changed AFTER UPDATE ON connections_requestedoperation REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION connections_search_of_operations();
CREATE TRIGGER connections_search_removed AFTER DELETE ON connections_requestedoperation REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION connections_search_of_operations();

CREATE FUNCTION connections_search_of_service() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE connections_connectionrequest SET search_line = '' WHERE id IN (
        SELECT r.request_id FROM connections_requestedoperation r JOIN registry_operation o ON o.id = r.operation_id
        JOIN registry_serviceversion v ON v.id = o.version_id WHERE v.service_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER connections_search AFTER UPDATE OF name, code, provider_id ON registry_dataservice
    FOR EACH ROW WHEN ((OLD.name, OLD.code, OLD.provider_id) IS DISTINCT FROM (NEW.name, NEW.code, NEW.provider_id))
    EXECUTE FUNCTION connections_search_of_service();

CREATE FUNCTION connections_search_of_organization() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE connections_connectionrequest SET search_line = '' WHERE consumer_id = NEW.id;
    UPDATE connections_connectionrequest SET search_line = '' WHERE consumer_id <> NEW.id AND id IN (
        SELECT r.request_id FROM connections_requestedoperation r JOIN registry_operation o ON o.id = r.operation_id
        JOIN registry_serviceversion v ON v.id = o.version_id JOIN registry_dataservice s ON s.id = v.service_id
        WHERE s.provider_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER connections_search AFTER UPDATE OF name, short_name, code, old_code ON organizations_organization
    FOR EACH ROW WHEN ((OLD.name, OLD.short_name, OLD.code, OLD.old_code)
        IS DISTINCT FROM (NEW.name, NEW.short_name, NEW.code, NEW.old_code))
    EXECUTE FUNCTION connections_search_of_organization();

SET LOCAL statement_timeout = 0;
UPDATE connections_connectionrequest SET search_line = '';
SET LOCAL statement_timeout = DEFAULT;
"""
BACKWARD = """
DROP TRIGGER connections_search ON organizations_organization;
DROP TRIGGER connections_search ON registry_dataservice;
DROP TRIGGER connections_search_removed ON connections_requestedoperation;
DROP TRIGGER connections_search_changed ON connections_requestedoperation;
DROP TRIGGER connections_search_added ON connections_requestedoperation;
DROP TRIGGER connections_search ON connections_connectionrequest;
DROP FUNCTION connections_search_of_organization();
DROP FUNCTION connections_search_of_service();
DROP FUNCTION connections_search_of_operations();
DROP FUNCTION connections_search_line();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0006_audience'),
        ('core', '0004_search_line'),
        ('organizations', '0001_initial'),
        ('registry', '0006_soap_and_codes'),
    ]

    operations = [
        migrations.RemoveField(model_name='connectionrequest', name='folded'),
        migrations.AddField(
            model_name='connectionrequest',
            name='search_line',
            field=apps.core.search.SearchLineField(db_default='', default='', editable=False),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AddIndex(
            model_name='connectionrequest',
            index=django.contrib.postgres.indexes.GinIndex(fields=['search_line'], fastupdate=False, name='connections_request_search'),
        ),
        migrations.AddIndex(
            model_name='connectionrequest',
            index=models.Index(models.OrderBy(models.F('paused_at'), nulls_first=True), models.F('due_at'), models.F('id'), condition=models.Q(('status__in', ('checking', 'returned', 'awaiting_provider'))), name='connections_request_running'),
        ),
        migrations.AddIndex(
            model_name='connectionrequest',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['-decided_at'], name='connections_request_decided'),
        ),
    ]
