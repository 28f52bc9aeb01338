import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.db import connection, transaction

from apps.core.canonical import content_hash
from apps.core.epoch import current_epoch, raise_epoch
from apps.core.fields import decrypt, encrypt, keyed_hash
from apps.core.models import PolicyChange
from apps.core.numbers import next_number
from apps.registry.models import Upstream


def test_the_epoch_rises_by_one_and_says_what_changed(db):
    before = current_epoch()
    assert raise_epoch("grant") == before + 1
    assert PolicyChange.objects.get(epoch=before + 1).kind == "grant"


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_change_raises_nothing():
    before = current_epoch()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise_epoch("grant")
        raise ZeroDivisionError
    assert current_epoch() == before


@pytest.mark.django_db(transaction=True)
def test_the_epoch_cannot_be_raised_outside_the_change():
    with pytest.raises(RuntimeError):
        raise_epoch("grant")


def test_numbers_have_no_gap_after_a_rollback(db):
    first = next_number("YC")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        next_number("YC")
        raise ZeroDivisionError
    assert int(next_number("YC").rsplit("-", 1)[1]) == int(first.rsplit("-", 1)[1]) + 1


def test_a_key_can_rotate(settings):
    old = encrypt("bí mật")
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    assert decrypt(old) == "bí mật"
    assert decrypt(encrypt("mới")) == "mới"
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    with pytest.raises(ValueError):
        decrypt(old)


def test_an_encrypted_column_cannot_be_searched(db):
    with pytest.raises((FieldError, TypeError)):
        list(Upstream.objects.filter(secret="x"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_the_same_content_has_the_same_hash_whatever_its_order():
    assert content_hash({"a": [1, 2], "b": "đ"}) == content_hash({"b": "đ", "a": [1, 2]})
    assert content_hash({"a": [1, 2]}) != content_hash({"a": [2, 1]})
    assert keyed_hash("079") != keyed_hash("080")
