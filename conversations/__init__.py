"""Person-to-person conversations: threads, participants, entries. The top app of the stack.

Empty for now, but a member of the import contracts from its first file on.
"""
