"""By what document a signer signs; a role is a row that people edit, so it has a version."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("organizations", "0002_agency_admin")]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="authority",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Decision or letter that empowers the signer (number, date, issuer); empty for who signs by office.",
                max_length=300,
                verbose_name="authorizing document",
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="version",
            field=models.PositiveIntegerField(db_default=1, default=1, editable=False, verbose_name="version"),
        ),
        # Only what a form asks for: a role that nobody is known to have given may be changed as others.
        migrations.AlterField(
            model_name="membership",
            name="given_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="given by",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("authority", ""), ("role", "signer"), _connector="OR"),
                name="organizations_membership_authority_of_signer",
            ),
        ),
    ]
