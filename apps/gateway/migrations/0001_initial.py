"""The tables of the data plane. The three that grow are partitioned by month of the call id (UUIDv7).

`gateway_make_partitions(months)` makes the partitions of last month, this month and `months` ahead; months are
Vietnamese months. `call_id_floor(moment)` is the smallest id of a moment.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


TABLES = """
CREATE FUNCTION call_id_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE TABLE call_intent (
    call_id uuid NOT NULL,
    admitted_at timestamptz NOT NULL,
    grant_id bigint NOT NULL,
    credential_id bigint NOT NULL,
    epoch bigint NOT NULL,
    trace_id uuid,
    request_digest bytea NOT NULL,
    source inet,
    PRIMARY KEY (call_id)
) PARTITION BY RANGE (call_id);
CREATE INDEX call_intent_grant ON call_intent (grant_id, call_id);

CREATE TABLE call_outcome (
    call_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    delivered_id bigint,
    withheld_id bigint,
    request_bytes integer NOT NULL,
    provider_bytes integer NOT NULL,
    answer_bytes integer NOT NULL,
    provider_us integer NOT NULL,
    total_us integer NOT NULL,
    status smallint NOT NULL,
    provider_status smallint,
    outcome varchar(16) NOT NULL,
    code varchar(40) NOT NULL,
    answer_digest bytea,
    subject bytea,
    PRIMARY KEY (call_id)
) PARTITION BY RANGE (call_id);

CREATE TABLE call_refusal (
    call_id uuid NOT NULL,
    refused_at timestamptz NOT NULL,
    credential_id bigint,
    system_id bigint,
    service_id bigint,
    operation_id bigint,
    grant_id bigint,
    epoch bigint NOT NULL,
    status smallint NOT NULL,
    code varchar(40) NOT NULL,
    method varchar(8) NOT NULL,
    asked_service varchar(60) NOT NULL,
    asked_purpose varchar(40) NOT NULL,
    source inet,
    PRIMARY KEY (call_id)
) PARTITION BY RANGE (call_id);
CREATE INDEX call_refusal_system ON call_refusal (system_id, call_id);

CREATE FUNCTION gateway_make_partitions(months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    base text;
    start timestamptz;
    name text;
    made integer := 0;
BEGIN
    FOREACH base IN ARRAY ARRAY['call_intent', 'call_outcome', 'call_refusal'] LOOP
        FOR ahead IN -1..months LOOP
            start := (date_trunc('month', now() AT TIME ZONE 'Asia/Ho_Chi_Minh') + make_interval(months => ahead))
                     AT TIME ZONE 'Asia/Ho_Chi_Minh';
            name := format('%s_%s', base, to_char(start AT TIME ZONE 'Asia/Ho_Chi_Minh', 'YYYYMM'));
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, base, call_id_floor(start),
                    call_id_floor((start AT TIME ZONE 'Asia/Ho_Chi_Minh' + interval '1 month') AT TIME ZONE 'Asia/Ho_Chi_Minh'));
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
SELECT gateway_make_partitions(3);

CREATE TRIGGER call_intent_append_only BEFORE UPDATE OR DELETE ON call_intent
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER call_outcome_append_only BEFORE UPDATE OR DELETE ON call_outcome
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER call_refusal_append_only BEFORE UPDATE OR DELETE ON call_refusal
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER call_intent_no_truncate BEFORE TRUNCATE ON call_intent
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER call_outcome_no_truncate BEFORE TRUNCATE ON call_outcome
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER call_refusal_no_truncate BEFORE TRUNCATE ON call_refusal
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
"""
DROP_TABLES = """
DROP TABLE call_refusal; DROP TABLE call_outcome; DROP TABLE call_intent;
DROP FUNCTION gateway_make_partitions(integer); DROP FUNCTION call_id_floor(timestamptz);
"""
SEED = """
INSERT INTO gateway_sweepmark (singleton, swept_until, swept_at) VALUES (true, call_id_floor(now()), now());
ALTER TABLE gateway_quotause SET (fillfactor = 50);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('agreements', '0002_initial'),
        ('core', '0002_epoch_and_guards'),
        ('organizations', '0001_initial'),
        ('registry', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='FieldSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('names', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=300), size=None, verbose_name='fields')),
            ],
            options={
                'verbose_name': 'set of fields',
                'verbose_name_plural': 'sets of fields',
            },
        ),
        migrations.CreateModel(
            name='QuotaUse',
            fields=[
                ('grant', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='use', serialize=False, to='agreements.grant')),
                ('at', models.DateTimeField()),
                ('second', models.BigIntegerField()),
                ('day', models.IntegerField()),
                ('month', models.IntegerField()),
                ('in_second', models.IntegerField()),
                ('in_day', models.IntegerField()),
                ('in_month', models.IntegerField()),
                ('taken', models.IntegerField()),
                ('cap_second', models.IntegerField()),
                ('cap_day', models.IntegerField()),
                ('cap_month', models.IntegerField()),
            ],
            options={
                'verbose_name': 'quota in use',
                'verbose_name_plural': 'quotas in use',
            },
        ),
        migrations.CreateModel(
            name='AnonymousRefusalCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('minute', models.DateTimeField(verbose_name='minute')),
                ('code', models.CharField(max_length=40, verbose_name='code')),
                ('network', models.CharField(max_length=50, verbose_name='network')),
                ('count', models.BigIntegerField(default=0, verbose_name='count')),
            ],
            options={
                'verbose_name': 'count of refused strangers',
                'verbose_name_plural': 'counts of refused strangers',
                'ordering': ['-minute', 'code'],
                'constraints': [models.UniqueConstraint(fields=('minute', 'code', 'network'), name='gateway_anonymousrefusalcount_once')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key_hash', models.BinaryField(max_length=32)),
                ('request_digest', models.BinaryField(max_length=32)),
                ('call_id', models.UUIDField()),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('system', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='organizations.informationsystem')),
            ],
            options={
                'verbose_name': 'idempotency key',
                'verbose_name_plural': 'idempotency keys',
            },
        ),
        migrations.CreateModel(
            name='SweepMark',
            fields=[
                ('singleton', models.BooleanField(default=True, editable=False, primary_key=True, serialize=False)),
                ('swept_until', models.UUIDField()),
                ('swept_at', models.DateTimeField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('singleton', True)), name='gateway_sweepmark_one_row')],
            },
        ),
        migrations.CreateModel(
            name='AccessToken',
            fields=[
                ('token_hash', models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ('certificate_hash', models.CharField(blank=True, max_length=64)),
                ('issued_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(null=True)),
                ('credential', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='agreements.credential')),
            ],
            options={
                'verbose_name': 'access token',
                'verbose_name_plural': 'access tokens',
                'indexes': [models.Index(fields=['expires_at'], name='gateway_accesstoken_expires')],
            },
        ),
        migrations.AddIndex(
            model_name='idempotencykey',
            index=models.Index(fields=['made_at'], name='gateway_idempotencykey_made'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('system', 'key_hash'), name='gateway_idempotencykey_once'),
        ),
        migrations.RunSQL(TABLES, DROP_TABLES),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='CallIntent',
                    fields=[
                        ('call_id', models.UUIDField(primary_key=True, serialize=False, verbose_name='call id')),
                        ('admitted_at', models.DateTimeField(verbose_name='admitted at')),
                        ('epoch', models.BigIntegerField(verbose_name='policy epoch')),
                        ('request_digest', models.BinaryField(max_length=32, verbose_name='keyed digest of the request')),
                        ('source', models.GenericIPAddressField(null=True, verbose_name='from address')),
                        ('trace_id', models.UUIDField(null=True, verbose_name='trace')),
                        ('credential', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='agreements.credential', verbose_name='credential')),
                        ('grant', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='calls', to='agreements.grant', verbose_name='grant')),
                    ],
                    options={
                        'verbose_name': 'call',
                        'verbose_name_plural': 'calls',
                        'db_table': 'call_intent',
                        'ordering': ['-call_id'],
                    },
                ),
                migrations.CreateModel(
                    name='CallRefusal',
                    fields=[
                        ('call_id', models.UUIDField(primary_key=True, serialize=False, verbose_name='call id')),
                        ('refused_at', models.DateTimeField(verbose_name='refused at')),
                        ('code', models.CharField(max_length=40, verbose_name='code')),
                        ('status', models.SmallIntegerField(verbose_name='status')),
                        ('method', models.CharField(max_length=8, verbose_name='method')),
                        ('asked_service', models.CharField(blank=True, max_length=60, verbose_name='service asked for')),
                        ('asked_purpose', models.CharField(blank=True, max_length=40, verbose_name='purpose named')),
                        ('epoch', models.BigIntegerField(verbose_name='policy epoch')),
                        ('source', models.GenericIPAddressField(null=True, verbose_name='from address')),
                        ('credential', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='agreements.credential', verbose_name='credential')),
                        ('grant', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='agreements.grant', verbose_name='grant')),
                        ('operation', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='registry.operation', verbose_name='operation')),
                        ('service', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='registry.dataservice', verbose_name='service')),
                        ('system', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='organizations.informationsystem', verbose_name='system')),
                    ],
                    options={
                        'verbose_name': 'refused call',
                        'verbose_name_plural': 'refused calls',
                        'db_table': 'call_refusal',
                        'ordering': ['-call_id'],
                    },
                ),
                migrations.CreateModel(
                    name='CallOutcome',
                    fields=[
                        ('call', models.OneToOneField(db_column='call_id', db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='outcome', serialize=False, to='gateway.callintent')),
                        ('recorded_at', models.DateTimeField(verbose_name='recorded at')),
                        ('outcome', models.CharField(choices=[('delivered', 'delivered'), ('provider_error', 'the provider answered with an error'), ('provider_failed', 'the provider could not be reached or its answer not used'), ('unknown', 'unknown (the process ended before the record)')], max_length=16, verbose_name='outcome')),
                        ('code', models.CharField(blank=True, max_length=40, verbose_name='code')),
                        ('status', models.SmallIntegerField(verbose_name='status given to the consumer')),
                        ('provider_status', models.SmallIntegerField(null=True, verbose_name='status of the provider')),
                        ('request_bytes', models.IntegerField(default=0, verbose_name='bytes of the request')),
                        ('provider_bytes', models.IntegerField(default=0, verbose_name='bytes from the provider')),
                        ('answer_bytes', models.IntegerField(default=0, verbose_name='bytes of the answer')),
                        ('provider_us', models.IntegerField(default=0, verbose_name='time of the provider (µs)')),
                        ('total_us', models.IntegerField(default=0, verbose_name='time in all (µs)')),
                        ('answer_digest', models.BinaryField(max_length=32, null=True, verbose_name='digest of the answer (SHA-256)')),
                        ('subject', models.BinaryField(max_length=16, null=True, verbose_name='pseudonym of the data subject')),
                        ('delivered', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='gateway.fieldset')),
                        ('withheld', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='gateway.fieldset')),
                    ],
                    options={
                        'verbose_name': 'call outcome',
                        'verbose_name_plural': 'call outcomes',
                        'db_table': 'call_outcome',
                    },
                ),
                migrations.AddIndex(
                    model_name='callintent',
                    index=models.Index(fields=['grant', 'call_id'], name='call_intent_grant'),
                ),
                migrations.AddIndex(
                    model_name='callrefusal',
                    index=models.Index(fields=['system', 'call_id'], name='call_refusal_system'),
                ),
            ],
        ),
        migrations.RunSQL(SEED, migrations.RunSQL.noop),
    ]
