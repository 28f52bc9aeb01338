"""Agreements are found by words of number, title and parties: one line, kept by triggers, under one index."""

import django.contrib.postgres.indexes
from django.db import migrations

import apps.core.search

FORWARD = """
-- Whoever writes the row, the line is this; touching it (SET search_line = '') makes it anew.
CREATE FUNCTION agreements_search_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_line := to_tsvector('simple', core_word_line(concat_ws(' ', NEW.number, NEW.title,
        (SELECT string_agg(concat_ws(' ', o.name, o.short_name, o.code, o.old_code), ' ')
            FROM agreements_party p JOIN organizations_organization o ON o.id = p.organization_id
            WHERE p.agreement_id = NEW.id))));
    RETURN NEW;
END $$;
CREATE TRIGGER agreements_search BEFORE INSERT OR UPDATE OF number, title, search_line ON agreements_agreement
    FOR EACH ROW EXECUTE FUNCTION agreements_search_line();

CREATE FUNCTION agreements_search_of_parties() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agreements_agreement SET search_line = '' WHERE id IN (SELECT agreement_id FROM changed);
    RETURN NULL;
END $$;
CREATE TRIGGER agreements_search_added AFTER INSERT ON agreements_party REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION agreements_search_of_parties();
CREATE TRIGGER agreements_search_changed AFTER UPDATE ON agreements_party REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION agreements_search_of_parties();
CREATE TRIGGER agreements_search_removed AFTER DELETE ON agreements_party REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION agreements_search_of_parties();

CREATE FUNCTION agreements_search_of_organization() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agreements_agreement SET search_line = ''
        WHERE id IN (SELECT agreement_id FROM agreements_party WHERE organization_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER agreements_search AFTER UPDATE OF name, short_name, code, old_code ON organizations_organization
    FOR EACH ROW WHEN ((OLD.name, OLD.short_name, OLD.code, OLD.old_code)
        IS DISTINCT FROM (NEW.name, NEW.short_name, NEW.code, NEW.old_code))
    EXECUTE FUNCTION agreements_search_of_organization();

SET LOCAL statement_timeout = 0;
UPDATE agreements_agreement SET search_line = '';
SET LOCAL statement_timeout = DEFAULT;
"""
BACKWARD = """
DROP TRIGGER agreements_search ON organizations_organization;
DROP TRIGGER agreements_search_removed ON agreements_party;
DROP TRIGGER agreements_search_changed ON agreements_party;
DROP TRIGGER agreements_search_added ON agreements_party;
DROP TRIGGER agreements_search ON agreements_agreement;
DROP FUNCTION agreements_search_of_organization();
DROP FUNCTION agreements_search_of_parties();
DROP FUNCTION agreements_search_line();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agreements', '0012_duty_certificate'),
        ('core', '0004_search_line'),
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='agreement',
            name='search_line',
            field=apps.core.search.SearchLineField(db_default='', default='', editable=False),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AddIndex(
            model_name='agreement',
            index=django.contrib.postgres.indexes.GinIndex(fields=['search_line'], fastupdate=False, name='agreements_agreement_search'),
        ),
    ]
