SETUP = "setup"
"""The machine that founds an empty platform (`manage.py found_platform`, the demonstration): it may do what an operator may."""
