"""The Hub's own client, opened as we use it, and its errors as ours.

The token is the client's business: it reads `HF_TOKEN` or the login of `hf auth login`; nothing here sees or writes it.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hardcut.engine.files import disk_error
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


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
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalTokenNotFoundError,
            OfflineModeIsEnabled,
        )
    except ImportError as error:
        raise MissingDependency("huggingface_hub is too old: pip install -U huggingface_hub") from error
    try:
        yield
    except HFValidationError as error:
        raise UsageError(f"{repo_id!r} is no name on the Hub: give ORG/NAME ({error})") from error
    except (LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
        raise HubError(f"{repo_id}: {error}") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403, 404):
            advice = "set HF_TOKEN to a token that may write there, or `hf auth login`, and look at the name"
            raise HubError(f"{repo_id}: the Hub answers {status}: {advice}") from error
        raise HubError(f"{repo_id}: the Hub answers {status}: start the same command again to go on") from error
    except ValueError as error:
        raise UsageError(f"{repo_id}: the card cannot be sent ({' '.join(str(error).split())})") from error
    except _network_errors() as error:
        if (full := disk_error(error)) is not None:  # of the Hub's cache, or of the folder that is fetched into
            raise full from error
        raise HubError(
            f"{repo_id}: the Hub cannot be reached ({type(error).__name__}): start again to go on"
        ) from error


def _network_errors() -> tuple[type[Exception], ...]:
    """What the client's transport raises; which one it is depends on the client's version."""
    found: list[type[Exception]] = [OSError]
    for name in ("httpx2", "httpx"):
        try:
            found.append(importlib.import_module(name).HTTPError)
        except ImportError:
            continue
    return tuple(found)
