"""The history's part of `offhook check`: Asterisk's own record, from which we fill in what we missed, can be read."""

import os

from cti.finding import Result, good, warning
from cti.settings import Settings
from cti.site import Site

WHAT = "call record"


def check(settings: Settings, site: Site) -> list[Result]:
    """Whether `cel.csv` or `cel.url` is given; whether the file can be read."""
    file = settings.cel.csv
    if file is None and not settings.cel.url:
        why = "neither cel.csv nor cel.url is set: calls that come while we are down leave no contact"
        return [warning(WHAT, why, "set cel.csv to the file cel_custom-offhook.conf makes, or cel.url")]
    if file is None:
        return [good(WHAT, "in a database")]
    if file.is_file() and not os.access(file, os.R_OK):
        return [warning(WHAT, f"{file} can't be read", "let the user Offhook runs as read it")]
    if not file.parent.is_dir():
        mend = "is cel_custom.so loaded, and its file as in `offhook pbx print-config`? Else mend cel.csv"
        return [warning(WHAT, f"there is no folder {file.parent}", mend)]
    if not file.is_file():
        mend = "it is there after the first call; if it never is: `cel show status` on Asterisk's console"
        return [warning(WHAT, f"{file} is not there yet", mend)]
    return [good(WHAT, f"{file} can be read")]
