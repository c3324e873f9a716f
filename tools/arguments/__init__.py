"""What several commands take: engines, pictures, places to write, and the checks of each.

Imported by the commands; it imports none of them.
"""
