"""The tables of the feed."""

from __future__ import annotations

TABLES = """
CREATE TABLE IF NOT EXISTS test_room (key text PRIMARY KEY, last_seq bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS test_line (
    key text NOT NULL, seq bigint NOT NULL, text text NOT NULL, client_id text, PRIMARY KEY (key, seq)
);
CREATE TABLE IF NOT EXISTS test_guest (
    key text NOT NULL, person text NOT NULL, since bigint NOT NULL, PRIMARY KEY (key, person)
);
"""
