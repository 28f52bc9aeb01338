"""Retention by usage regulation, and what of it must happen with the rights of the tables' owner.

`gateway_retention()` says how long the calls of each grant are kept: what the service's usage regulation sets or any version of
the agreement promised, whichever is longer; 12 months where neither says anything (NĐ 47/2020 Điều 45(3), LOG-03).
`gateway_doomed(ended)` judges a month of the log that ended at that moment by the database's clock; calls under an agreement
with an open dispute stay. `gateway_due_months()` lists the months that hold something doomed. `gateway_purge_month(month)` takes
out exactly that and says what went: a month of which nothing stays is dropped, of another one the rest is copied and takes its
place. Nobody is asked what may go, so a role that may not delete can be let to call it.

The functions that make, index and purge partitions run with the rights of the tables' owner: the application's role owns
nothing (`manage.py grant_application_role`).
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION gateway_retention() RETURNS TABLE (grant_id bigint, agreement_id bigint, service_id bigint, months integer)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT g.id, g.agreement_id, s.id, coalesce(greatest(r.log_retention_months, promised.months), 12)::integer
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

CREATE FUNCTION gateway_is_over(ended timestamptz, months integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT (ended AT TIME ZONE 'Asia/Ho_Chi_Minh') + make_interval(months => months) <= now() AT TIME ZONE 'Asia/Ho_Chi_Minh'
$$;

CREATE FUNCTION gateway_doomed(ended timestamptz) RETURNS TABLE (grant_id bigint, service_id bigint, months integer, doomed boolean)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT r.grant_id, r.service_id, r.months, gateway_is_over(ended, r.months) AND NOT EXISTS (
        SELECT FROM disputes_dispute d WHERE d.agreement_id = r.agreement_id AND d.status NOT IN ('resolved', 'closed'))
    FROM gateway_retention() r
$$;

CREATE FUNCTION gateway_month_end(month text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT (to_date(month || '01', 'YYYYMMDD') + interval '1 month') AT TIME ZONE 'Asia/Ho_Chi_Minh'
$$;

-- Rows of `relation` (a partition of call_outcome, call_intent or call_refusal) with what became of their retention: the alias is t.
CREATE FUNCTION gateway_judged(base text, month text) RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT CASE base
        WHEN 'call_intent' THEN format('%I t LEFT JOIN gateway_doomed($1) d ON d.grant_id = t.grant_id', base || '_' || month)
        WHEN 'call_outcome' THEN format('%I t LEFT JOIN %I i USING (call_id) LEFT JOIN gateway_doomed($1) d ON d.grant_id = i.grant_id',
                                        base || '_' || month, 'call_intent_' || month)
        ELSE format('%I t LEFT JOIN gateway_doomed($1) d ON d.grant_id = t.grant_id '
                    'LEFT JOIN registry_dataservice s ON s.id = t.service_id '
                    'LEFT JOIN registry_usageregulation r ON r.id = s.usage_regulation_id', base || '_' || month)
    END
$$;

-- Whether a row of gateway_judged goes. A call whose grant is not there any more stays as long as the longest; a refusal that
-- came to no grant goes by the regulation of the service asked for.
CREATE FUNCTION gateway_verdict(base text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT CASE base WHEN 'call_refusal'
        THEN 'coalesce(d.doomed, gateway_is_over($1, coalesce(r.log_retention_months, 12)))'
        ELSE 'coalesce(d.doomed, gateway_is_over($1, (SELECT coalesce(max(x.months), 12) FROM gateway_retention() x)))'
    END
$$;

CREATE FUNCTION gateway_log_months() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT DISTINCT right(c.relname, 6) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('call_intent'::regclass, 'call_outcome'::regclass, 'call_refusal'::regclass) AND c.relname ~ '_[0-9]{6}$'
    ORDER BY 1
$$;

CREATE FUNCTION gateway_due_months() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month text;
    found boolean;
BEGIN
    FOR month IN SELECT gateway_log_months() LOOP
        CONTINUE WHEN gateway_month_end(month) > now();
        found := gateway_is_over(gateway_month_end(month),
                                 (SELECT greatest(max(x.months), 12) FROM gateway_retention() x));
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

CREATE FUNCTION gateway_purge_month(month text)
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
BEGIN
    IF month !~ '^[0-9]{6}$' OR to_regclass('call_intent_' || month) IS NULL THEN
        RAISE EXCEPTION 'the log has no month %', month;
    END IF;
    ended := gateway_month_end(month);
    began := (to_date(month || '01', 'YYYYMMDD')::timestamp) AT TIME ZONE 'Asia/Ho_Chi_Minh';
    IF ended > now() THEN
        RAISE EXCEPTION 'month % is not over', month;
    END IF;
    FOREACH base IN ARRAY ARRAY['call_outcome', 'call_intent', 'call_refusal'] LOOP
        name := base || '_' || month;
        CONTINUE WHEN to_regclass(name) IS NULL;
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', name);
        EXECUTE format('SELECT count(*) FROM %I', name) INTO whole;
        lost := 0;
        FOR part IN EXECUTE format('SELECT %s, count(*) AS n FROM %s WHERE %s GROUP BY 1, 2 ORDER BY 1, 2',
                                   CASE base WHEN 'call_refusal'
                                       THEN 'coalesce(d.service_id, s.id) AS service_id, coalesce(d.months, r.log_retention_months, 12) AS months'
                                       ELSE 'd.service_id, d.months' END,
                                   gateway_judged(base, month), gateway_verdict(base)) USING ended LOOP
            lost := lost + part.n;
            relation := base; service_id := part.service_id; months := part.months; gone := part.n; kept := 0;
            RETURN NEXT;
        END LOOP;
        relation := base; service_id := NULL; months := NULL; gone := 0; kept := whole - lost;
        RETURN NEXT;
        IF lost = whole AND base <> 'call_outcome' THEN
            CONTINUE WHEN whole = 0 AND NOT gateway_is_over(ended, (SELECT greatest(max(x.months), 12) FROM gateway_retention() x));
            EXECUTE format('DROP TABLE %I', name);
            IF base = 'call_intent' THEN
                EXECUTE format('DROP TABLE IF EXISTS %I, %I', 'call_outcome_' || month, 'call_outcome_' || month || '_kept');
            END IF;
        ELSIF lost > 0 THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name || '_kept', name);
            EXECUTE format('INSERT INTO %I SELECT t.* FROM %s WHERE NOT %s ORDER BY t.call_id', name || '_kept',
                           gateway_judged(base, month), gateway_verdict(base)) USING ended;
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (call_id >= %L AND call_id < %L)', name || '_kept', name || '_range',
                           call_id_floor(began), call_id_floor(ended));
            -- Outcomes wait for their intents, whose grants say what may go.
            IF base <> 'call_outcome' THEN
                PERFORM gateway_put_in_place(base, month, began, ended);
            END IF;
            IF base = 'call_intent' AND to_regclass('call_outcome_' || month || '_kept') IS NOT NULL THEN
                PERFORM gateway_put_in_place('call_outcome', month, began, ended);
            END IF;
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION gateway_put_in_place(base text, month text, began timestamptz, ended timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    name text := base || '_' || month;
BEGIN
    -- The copy has its indexes and a constraint that says its range, so nothing is looked through while others wait.
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', base, name);
    EXECUTE format('DROP TABLE %I', name);
    EXECUTE format('ALTER TABLE %I RENAME TO %I', name || '_kept', name);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', base, name, call_id_floor(began), call_id_floor(ended));
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', name, name || '_range');
END $$;

-- "Who read about this person" over months that are over: the pseudonyms of a month are put in order once, after it, because an
-- index kept at every call costs more. The month that runs is read through. Returns how many were made.
CREATE FUNCTION gateway_index_months() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month text;
    made integer := 0;
BEGIN
    FOR month IN SELECT gateway_log_months() LOOP
        CONTINUE WHEN gateway_month_end(month) + interval '1 hour' > now() OR to_regclass('call_outcome_' || month) IS NULL;
        IF NOT EXISTS (SELECT FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
                       WHERE x.indrelid = to_regclass('call_outcome_' || month) AND a.attname = 'subject') THEN
            EXECUTE format('CREATE INDEX ON %I (subject, call_id) WHERE subject IS NOT NULL', 'call_outcome_' || month);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

ALTER FUNCTION gateway_make_partitions(integer) SECURITY DEFINER SET search_path = public, pg_temp;
REVOKE EXECUTE ON FUNCTION gateway_make_partitions(integer), gateway_purge_month(text), gateway_due_months(), gateway_index_months(),
    gateway_put_in_place(text, text, timestamptz, timestamptz) FROM PUBLIC;
"""
BACK = """
ALTER FUNCTION gateway_make_partitions(integer) SECURITY INVOKER RESET search_path;
GRANT EXECUTE ON FUNCTION gateway_make_partitions(integer) TO PUBLIC;
DROP FUNCTION gateway_index_months(), gateway_put_in_place(text, text, timestamptz, timestamptz), gateway_purge_month(text),
    gateway_due_months(), gateway_log_months(), gateway_verdict(text), gateway_judged(text, text), gateway_month_end(text),
    gateway_doomed(timestamptz), gateway_is_over(timestamptz, integer), gateway_retention();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0003_code_tables"),
        ("agreements", "0011_list_index"),
        ("disputes", "0002_sent_document"),
        ("registry", "0006_soap_and_codes"),
    ]

    operations = [migrations.RunSQL(FUNCTIONS, BACK)]
