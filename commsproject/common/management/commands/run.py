"""`make run`: the database, the demo data and every process of the service, in one terminal."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from argparse import ArgumentParser
from typing import override

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command, get_commands
from django.db import connections

from commsproject import embedded
from commsproject.common.supervisor import Console, Service, Supervisor, http_status
from commsproject.embedded.system import port_is_free
