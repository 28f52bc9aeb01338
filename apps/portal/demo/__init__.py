"""The demonstration province: Bắc Kạn's own story of 2019, played through the ordinary verbs by made-up people.

Nothing is written past a verb, so what the demonstration shows is what the platform does. Its secrets (one
password for all demonstration accounts, the collected credential) live in `var/`, readable by their owner only.
"""
