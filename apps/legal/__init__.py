"""Legal: rules taken from decrees are rows with a citation and dates, and deadlines are computed from them.

Nothing here is a constant: a legal officer edits the rows; a running case keeps the rule it began under.
"""
