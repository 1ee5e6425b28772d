"""What a browser calls itself, in two words a person recognises; a hint for people, never a proof."""

from __future__ import annotations

from experience_apis.wording.catalog import Wording

# the first that is named wins: every browser also claims to be those below it
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "HeadlessChrome": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def browser_name(user_agent: str, words: Wording) -> str:
    """As in `Firefox on Linux`; unknown programs by their first word."""
    name = next((told for sign, told in _BROWSERS.items() if sign in user_agent), None)
    system = next((told for sign, told in _SYSTEMS.items() if sign in user_agent), None)
    if name and system:
        return words.say("sessions.browser", name=name, system=system)
    return name or user_agent.split(" ", 1)[0][:40] or words.say("sessions.unknown_browser")
