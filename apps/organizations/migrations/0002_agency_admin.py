from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("organizations", "0001_initial")]
    operations = [
        migrations.AlterField(
            "membership",
            "role",
            models.CharField(
                choices=[
                    ("consumer_officer", "consumer officer"),
                    ("provider_officer", "provider officer"),
                    ("signer", "signer"),
                    ("agency_admin", "administrator of the agency"),
                    ("operator", "operator"),
                    ("legal_officer", "legal officer"),
                    ("auditor", "auditor"),
                ],
                max_length=20,
                verbose_name="role",
            ),
        )
    ]
