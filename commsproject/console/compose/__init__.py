"""Staff write messages: to one person, or to many. Checked and accepted as those of agents are."""
