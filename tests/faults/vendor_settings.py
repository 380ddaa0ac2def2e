"""The test settings for processes that send by fake vendors of every channel.

TIMES shortens all waits of the provider calls alike: 0.1 is a tenth. Amazon's SMS fake has an
address of its own: in earnest Amazon's services share AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import os

from commsproject.settings.test import *  # noqa: F403
from commsproject.settings.test import (
    PROVIDER_CONNECT_TIMEOUT,
    PROVIDER_READ_TIMEOUT,
    PROVIDERS,
    UNKNOWN_WAIT,
)

_TIMES = float(os.environ["TIMES"])

PROVIDER_CONNECT_TIMEOUT *= _TIMES
PROVIDER_READ_TIMEOUT *= _TIMES
UNKNOWN_WAIT = {lane: seconds * _TIMES for lane, seconds in UNKNOWN_WAIT.items()}
UNKNOWN_WAIT["bulk"] = 2.0  # so that it is seen to be held
LEASE_SECONDS = 2.0

PROVIDERS["aws_sms"]["OPTIONS"]["endpoint_url"] = os.environ["AWS_SMS_ENDPOINT_URL"]
