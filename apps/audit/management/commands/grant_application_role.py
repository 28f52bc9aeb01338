from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from apps.audit import roles


class Command(BaseCommand):
    help = "Give a database role what the processes need, and nothing that changes what is written once. Run as the owner, after migrate."

    def add_arguments(self, parser) -> None:
        parser.add_argument("role")
        parser.add_argument("--print", action="store_true", help="show the statements, do nothing")

    def handle(self, *, role: str, **options) -> None:
        try:
            if options["print"]:
                connection.ensure_connection()
                for statement in roles.statements(role):
                    self.stdout.write(f"{statement.as_string(connection.connection)};")
            else:
                self.stdout.write(f"{role}: {roles.grant(role)} statements")
        except roles.RoleUnfit as error:
            raise CommandError(str(error)) from error
