"""What a browser says of itself, in words."""

from __future__ import annotations

from commsproject.common.admin.show import duration
from commsproject.common.staff import browsers

KNOWN = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
    "Safari/537.36": "Chrome on Linux",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0": "Edge on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15": "Safari on macOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) CriOS/141.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    "Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0": "Firefox on Android",
    "curl/8.5": "curl/8.5",
    "x" * 200: "x" * 60,
    "": "An unknown browser",
}


def test_browsers_are_known_by_name() -> None:
    assert {said: browsers.name(said) for said in KNOWN} == KNOWN


def test_durations_are_in_the_largest_whole_unit() -> None:
    known = {0.5: "0.5 s", 90: "90 s", 300: "5 min", 5400: "90 min", 7200: "2 h", 86_400: "1 d"}
    assert {seconds: duration(seconds) for seconds in known} == known
