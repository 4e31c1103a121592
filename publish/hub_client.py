"""The Hub's own client, opened as we use it, and its errors as ours.

The token is the client's business: it reads `HF_TOKEN` or the login of `hf auth login`; nothing here sees or writes it.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hardcut.engine.files import disk_error
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


_STATUS = re.compile(r"HTTP status \w+ error \((\d{3})")
"""How the client's `hf_xet`, which moves large files, words an answer."""
_ADDRESS = re.compile(r"\w+://\S+")


class HubError(HardcutError):
    """The Hub cannot be reached, or refuses. What was sent is kept there: the same command again goes on."""

    status = 4


def open_api() -> HfApi:
    """The client, which draws no bars where nobody looks."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # what it warns of, such as a cache that cannot be written, ends in an error where it matters
    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(library_name="hardcut")


@contextmanager
def reported_errors(repo_id: str) -> Iterator[None]:
    """Errors of the client as ours, with what to do. Their texts carry addresses and no token."""
    try:
        import huggingface_hub.errors  # noqa: F401
    except ImportError as error:
        raise MissingDependency("huggingface_hub is too old: pip install -U huggingface_hub") from error
    try:
        yield
    except HardcutError:
        raise
    except Exception as error:
        wrapped = isinstance(error, RuntimeError) and isinstance(
            error.__cause__, Exception
        )  # what stopped a large file
        told = _told(repo_id, error.__cause__ if wrapped else error)  # type: ignore[arg-type]
        if told is None:
            raise
        raise told from error


def _told(repo_id: str, error: Exception) -> HardcutError | None:
    """An error of the client as one of ours; None where it is none of its."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )

    if isinstance(error, HFValidationError):
        return UsageError(f"{repo_id!r} is no name on the Hub: give ORG/NAME ({error})")
    for told in (error, error.__cause__):  # of a download, which first looks for what was fetched before
        if isinstance(told, LocalTokenNotFoundError | OfflineModeIsEnabled):
            return HubError(f"{repo_id}: {told}")
    if isinstance(error, HfHubHTTPError):
        return HubError(f"{repo_id}: {_answer(getattr(error.response, 'status_code', None))}")
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return UsageError(f"{error.filename}: it went away while it was sent: start again when it is there")
    if isinstance(error, ValueError):
        words = " ".join(str(error).split())
        if "README" in words or "metadata" in words:
            return UsageError(f"{repo_id}: the card cannot be sent ({words})")
        return HubError(f"{repo_id}: the Hub's answer cannot be read ({words}): start the same command again to go on")
    if isinstance(error, _network_errors()) or _is_of_xet(error):
        if (status := _STATUS.search(str(error))) is not None:
            return HubError(f"{repo_id}: {_answer(int(status[1]))}")
        if (full := disk_error(error)) is not None:  # of the Hub's cache, or of the folder that is fetched into
            return full
        if _is_of_xet(error):
            words = _ADDRESS.sub("", " ".join(str(error).split()))  # an address may have a signature in it
            return HubError(f"{repo_id}: a large file is not through ({words}): start the same command again to go on")
        return HubError(f"{repo_id}: the Hub cannot be reached ({type(error).__name__}): start again to go on")
    return None


def _is_of_xet(error: Exception) -> bool:
    """Whether it is an error of `hf_xet`, which has no class of its own but is raised where the client calls it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = at.tb_frame.f_globals.get("__name__", "") if at is not None else ""
    return type(error) is RuntimeError and where.startswith("huggingface_hub.")


def _answer(status: int | None) -> str:
    """What an answer of the Hub means, and what to do."""
    if status in (401, 403, 404):
        return (
            f"the Hub answers {status}: set HF_TOKEN to a token that may write there, or `hf auth login`, and look at "
            "the name"
        )
    if status == 412:
        return (
            "somebody else changed it while this was sent, and nothing of theirs is lost: start the same command "
            "again; --dry-run shows what it would replace now"
        )
    if status == 409:
        return "somebody else's commit is going on: start the same command again in a while"
    if status == 429:
        return "the Hub takes no more requests for now (429): start the same command again in a while"
    return f"the Hub answers {status}: start the same command again to go on"


def _network_errors() -> tuple[type[Exception], ...]:
    """What the client's transport raises; which one it is depends on the client's version."""
    found: list[type[Exception]] = [OSError]
    for name in ("httpx2", "httpx"):
        try:
            found.append(importlib.import_module(name).HTTPError)
        except ImportError:
            continue
    return tuple(found)
