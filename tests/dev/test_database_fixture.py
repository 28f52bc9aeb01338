"""The fixtures of the test database keep what they promise."""

import os

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection, transaction

from apps.accounts.models import User
from apps.audit import actions as audit
from apps.core.epoch import current_epoch, raise_epoch
from apps.core.models import PolicyChange, PolicyEpoch
from tests.fixtures.database import restore_seed

pytestmark = pytest.mark.django_db(transaction=True)


def _leave_things_behind() -> None:
    with transaction.atomic():
        user = User.objects.create_user("nguoi.la", password="mat-khau-rat-dai")
        audit.record("user.created", user, by=user)
        raise_epoch("grant")


def test_a_transactional_test_leaves_no_rows_behind():
    _leave_things_behind()
    restore_seed()
    assert not User.objects.exists()
    assert not PolicyChange.objects.exists()


def test_rows_that_migrations_insert_are_put_back_with_the_same_keys():
    before = list(ContentType.objects.order_by("pk").values_list("pk", "app_label", "model"))
    assert before
    _leave_things_behind()
    restore_seed()
    assert list(ContentType.objects.order_by("pk").values_list("pk", "app_label", "model")) == before
    assert PolicyEpoch.objects.count() == 1


def test_the_policy_epoch_only_ever_rises():
    _leave_things_behind()
    before = current_epoch()
    restore_seed()
    assert current_epoch() > before


def test_foreign_keys_and_triggers_work_again_after_the_reset():
    _leave_things_behind()
    restore_seed()
    _leave_things_behind()
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditevent")


def test_the_audit_table_cannot_be_truncated_where_the_guards_stand(truncate_guards):
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE audit_auditevent")


def test_a_run_has_a_database_and_a_folder_of_its_own(settings):
    assert connection.settings_dict["NAME"].startswith("test_lgsp_")
    assert "lgsp-tests-" in str(settings.VAR_DIR)
    assert str(settings.VAR_DIR) == os.environ["LGSP_VAR"], "settings were read before this process had its own folder"
    assert os.environ["LGSP_CELERY_QUEUE"] == settings.CELERY_TASK_DEFAULT_QUEUE
    assert settings.PASSWORD_HASHERS == ["django.contrib.auth.hashers.MD5PasswordHasher"]
