"""Organizations: agencies as a tree, their focal points, their systems, and who works there in what role.

A right always has an address: a role is held in an organization (`Membership`), and every other floor asks
here what a person may do where (`roles.py`) and which rows they may see (`visible_to`).
"""
