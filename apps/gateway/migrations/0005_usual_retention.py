"""The usual retention is the legal officer's rule, and a month is counted and copied before anything that calls wait for is held.

`gateway_default_months()` reads `log.retention_default` as it stands today; where the rule is missing nothing goes for a hundred years.
"""

from importlib import import_module

from django.db import migrations

_BEFORE = import_module("apps.gateway.migrations.0004_retention").FUNCTIONS

FUNCTIONS = """
CREATE FUNCTION gateway_default_months() RETURNS integer
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce((
        SELECT r.value::integer FROM legal_legalrule r
        WHERE r.code = 'log.retention_default' AND daterange(r.effective_from, r.effective_to) @> (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
        ORDER BY r.effective_from DESC LIMIT 1), 1200)
$$;

CREATE OR REPLACE FUNCTION gateway_retention() RETURNS TABLE (grant_id bigint, agreement_id bigint, service_id bigint, months integer)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT g.id, g.agreement_id, s.id, coalesce(greatest(r.log_retention_months, promised.months), gateway_default_months())::integer
    FROM agreements_grant g
    JOIN registry_operation o ON o.id = g.operation_id
    JOIN registry_serviceversion v ON v.id = o.version_id
    JOIN registry_dataservice s ON s.id = v.service_id
    LEFT JOIN registry_usageregulation r ON r.id = s.usage_regulation_id
    LEFT JOIN (
        SELECT a.agreement_id, max((a.content->>'log_retention_months')::integer) AS months
        FROM agreements_agreementversion a GROUP BY a.agreement_id
    ) AS promised ON promised.agreement_id = g.agreement_id
$$;

CREATE OR REPLACE FUNCTION gateway_verdict(base text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT CASE base WHEN 'call_refusal'
        THEN 'coalesce(d.doomed, gateway_is_over($1, coalesce(r.log_retention_months, gateway_default_months())))'
        ELSE 'coalesce(d.doomed, gateway_is_over($1, (SELECT coalesce(max(x.months), gateway_default_months()) FROM gateway_retention() x)))'
    END
$$;

CREATE OR REPLACE FUNCTION gateway_due_months() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month text;
    found boolean;
BEGIN
    FOR month IN SELECT gateway_log_months() LOOP
        CONTINUE WHEN gateway_month_end(month) > now();
        found := gateway_is_over(gateway_month_end(month),
                                 (SELECT greatest(max(x.months), gateway_default_months()) FROM gateway_retention() x));
        IF NOT found AND EXISTS (SELECT FROM gateway_doomed(gateway_month_end(month)) d WHERE d.doomed) THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM gateway_doomed($1) d WHERE d.doomed AND EXISTS '
                           '(SELECT FROM %I t WHERE t.grant_id = d.grant_id))', 'call_intent_' || month)
                INTO found USING gateway_month_end(month);
        END IF;
        IF NOT found THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', gateway_judged('call_refusal', month), gateway_verdict('call_refusal'))
                INTO found USING gateway_month_end(month);
        END IF;
        IF found THEN
            RETURN NEXT month;
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION gateway_purge_month(month text)
RETURNS TABLE (relation text, service_id bigint, months integer, gone bigint, kept bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    base text;
    name text;
    ended timestamptz;
    began timestamptz;
    whole bigint;
    lost bigint;
    part record;
    usual integer := gateway_default_months();
    drops text[] := ARRAY[]::text[];
BEGIN
    IF month !~ '^[0-9]{6}$' OR to_regclass('call_intent_' || month) IS NULL THEN
        RAISE EXCEPTION 'the log has no month %', month;
    END IF;
    ended := gateway_month_end(month);
    began := (to_date(month || '01', 'YYYYMMDD')::timestamp) AT TIME ZONE 'Asia/Ho_Chi_Minh';
    IF ended > now() THEN
        RAISE EXCEPTION 'month % is not over', month;
    END IF;
    -- Counting and copying take as long as they take: they hold this month's tables only, and calls go on.
    FOREACH base IN ARRAY ARRAY['call_outcome', 'call_intent', 'call_refusal'] LOOP
        name := base || '_' || month;
        CONTINUE WHEN to_regclass(name) IS NULL;
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', name);
        EXECUTE format('SELECT count(*) FROM %I', name) INTO whole;
        lost := 0;
        FOR part IN EXECUTE format('SELECT %s, count(*) AS n FROM %s WHERE %s GROUP BY 1, 2 ORDER BY 1, 2',
                                   CASE base WHEN 'call_refusal'
                                       THEN format('coalesce(d.service_id, s.id) AS service_id, coalesce(d.months, r.log_retention_months, %s) AS months', usual)
                                       ELSE 'd.service_id, d.months' END,
                                   gateway_judged(base, month), gateway_verdict(base)) USING ended LOOP
            lost := lost + part.n;
            relation := base; service_id := part.service_id; months := part.months; gone := part.n; kept := 0;
            RETURN NEXT;
        END LOOP;
        relation := base; service_id := NULL; months := NULL; gone := 0; kept := whole - lost;
        RETURN NEXT;
        IF lost = whole AND base <> 'call_outcome' THEN
            CONTINUE WHEN whole = 0 AND NOT gateway_is_over(ended, (SELECT greatest(max(x.months), usual) FROM gateway_retention() x));
            drops := drops || base;
        ELSIF lost > 0 THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name || '_kept', name);
            EXECUTE format('INSERT INTO %I SELECT t.* FROM %s WHERE NOT %s ORDER BY t.call_id', name || '_kept',
                           gateway_judged(base, month), gateway_verdict(base)) USING ended;
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (call_id >= %L AND call_id < %L)', name || '_kept', name || '_range',
                           call_id_floor(began), call_id_floor(ended));
        END IF;
    END LOOP;
    -- From here calls wait: only names change, and the transaction ends.
    FOREACH base IN ARRAY ARRAY['call_outcome', 'call_intent', 'call_refusal'] LOOP
        name := base || '_' || month;
        IF base = ANY (drops) OR (base = 'call_outcome' AND 'call_intent' = ANY (drops)) THEN
            EXECUTE format('DROP TABLE IF EXISTS %I, %I', name, name || '_kept');
        ELSIF to_regclass(name || '_kept') IS NOT NULL THEN
            PERFORM gateway_put_in_place(base, month, began, ended);
        END IF;
    END LOOP;
END $$;

ALTER FUNCTION gateway_make_partitions(integer) SET lock_timeout = '1s';
"""
BACK = _BEFORE.partition("ALTER FUNCTION gateway_make_partitions")[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION") + """
DROP FUNCTION gateway_default_months();
ALTER FUNCTION gateway_make_partitions(integer) RESET lock_timeout;
"""


class Migration(migrations.Migration):
    dependencies = [("gateway", "0004_retention"), ("legal", "0007_dispute_level_3")]

    operations = [migrations.RunSQL(FUNCTIONS, BACK)]
