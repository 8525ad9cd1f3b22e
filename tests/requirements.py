"""The lowest version of each package that sockd needs, as setup.cfg declares them.

``python -m tests.requirements [NAME …]`` prints all of them, or those that are named, as
constraints for pip.
"""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser

from tests.fresh import REPOSITORY

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)")


def lowest_versions() -> dict[str, str]:
    """Return the lowest version of each package.

    :raise ValueError: if one is declared without a version, or with more than the lowest one.
    """
    setup = ConfigParser(interpolation=None)
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    lowest = {}
    for line in setup["options"]["install_requires"].split():
        match = _REQUIREMENT.fullmatch(line)
        if match is None:
            raise ValueError(line)
        lowest[match[1]] = match[2]
    return lowest


if __name__ == "__main__":
    lowest = lowest_versions()
    for name in sys.argv[1:] or lowest:
        print(f"{name}=={lowest[name]}")
