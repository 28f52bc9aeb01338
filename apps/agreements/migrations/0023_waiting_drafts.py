"""What awaits signatures is found by an index: publishing a version asks for it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agreements", "0022_suspensions_over")]

    operations = [
        migrations.AddIndex(
            model_name="agreementversion",
            index=models.Index(
                condition=models.Q(("state", "draft")), fields=["agreement"], name="agreements_version_draft"
            ),
        ),
    ]
