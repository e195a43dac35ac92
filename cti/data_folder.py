"""Finds the data folders that travel with the code: `config/` and `asterisk/`, in a checkout or in an installed wheel."""

import sysconfig
from pathlib import Path

from cti.errors import ConfigError, Finding


def find_data_folder(name: str, mark: str) -> Path:
    """The folder `name` that holds the file `mark`. Raises ConfigError when the installation has lost it.

    The mark matters: pyst2 is installed as a package called `asterisk` too, so a folder of that name alone proves nothing.
    """
    schemes = {sysconfig.get_preferred_scheme("user"), sysconfig.get_default_scheme()}
    shares = [Path(sysconfig.get_path("data")), *(Path(sysconfig.get_path("data", scheme)) for scheme in schemes)]
    for folder in (Path(__file__).parents[1] / name, *(share / "share" / "offhook" / name for share in shares)):
        if (folder / mark).is_file():
            return folder
    raise ConfigError([Finding(f"{name}/", mark, "this file of the installation is missing", "install offhook again")])
