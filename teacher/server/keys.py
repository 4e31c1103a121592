"""The key of a server: which environment variable holds it, and to whom it is sent.

A key belongs to one host. The default variables are for the main teacher's host; a judge or a speech server at another
host names a variable of its own, or is sent no key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hardcut.schemas.addresses import host_of
from hardcut.schemas.errors import UsageError

DEFAULT_VARIABLES = ("HARDCUT_API_KEY", "OPENAI_API_KEY")
"""Where the main teacher's key is looked for, in this order, unless its settings name a variable."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """The environment variables that may hold a server's key, the first that is set counts; without any no key is sent.
    `setting` is the setting that names another one. A key that was `named` must be there."""

    variables: tuple[str, ...] = DEFAULT_VARIABLES
    setting: str = "teacher.key_variable"
    named: bool = False

    def read(self) -> str | None:
        """The key. Raises UsageError where a named variable is not set, and for what cannot be sent in a header; the
        message repeats nothing of it."""
        for name in self.variables:
            if key := os.environ.get(name, "").strip():
                if not (key.isascii() and key.isprintable()):
                    raise UsageError(
                        f"the environment variable {name} holds characters that no API key has: set it anew"
                    )
                return key
        if self.named:
            raise UsageError(f"the environment variable {self.variables[0]} is not set: {self.setting} names it")
        return None

    @property
    def advice(self) -> str:
        """What to do where a server takes no key, or not this one."""
        if self.variables:
            return f"give a valid API key in the environment variable {self.variables[0]}"
        return f"no key was sent to this host: name the environment variable that holds its key in {self.setting}"


def key_source(address: str, named: str | None, setting: str, main: tuple[str, KeySource] | None) -> KeySource:
    """Whose key goes to an address: that of the variable `named` for it, else the main teacher's where it is at the
    same host, else none. `main` is the main teacher's address and key, None where it has no address."""
    if named:
        return KeySource((named,), setting, named=True)
    if main and host_of(main[0]) == host_of(address):
        return main[1]
    return KeySource((), setting)
