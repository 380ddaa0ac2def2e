"""Provider servers at the wire that can misbehave, each with a ledger and a script."""
