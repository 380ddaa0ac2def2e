"""One file for each provider; a second one of its own starts with its name.

`base` says what a provider is, `account` what it can tell of our account, `registry` which there are.
What several share is in `common`, which knows none of them.
"""
