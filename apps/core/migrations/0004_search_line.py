"""The folded words of a text, as `apps.core.text.word_line` makes them, for search lines that triggers keep."""

from django.db import migrations

FORWARD = r"""
CREATE FUNCTION core_word_line(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT trim(regexp_replace(
        lower(regexp_replace(normalize(translate(given, 'Đđ', 'Dd'), NFD), '[\u0300-\u036f]', '', 'g')),
        '[^0-9a-z]+', ' ', 'g'))
$$;
"""
BACKWARD = "DROP FUNCTION core_word_line(text);"


class Migration(migrations.Migration):
    dependencies = [("core", "0003_numberseries")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
