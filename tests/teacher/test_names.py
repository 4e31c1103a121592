"""One name of a teacher, however its address was written."""

from __future__ import annotations

import pytest

from hardcut.schemas.addresses import canonical_address, canonical_name, host_of
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import TeacherRef
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.names import book_name
from hardcut.teacher.registry import booked_as


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://host/v1", "http://host/v1"),
        ("http://host/v1/", "http://host/v1"),
        ("http://host/v1//", "http://host/v1"),
        ("HTTP://Host:80/v1", "http://host/v1"),
        ("https://HOST:443", "https://host"),
        ("https://host:80/v1", "https://host:80/v1"),
        ("http://host:8000/V1", "http://host:8000/V1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://[::1]:80/v1/", "http://[::1]/v1"),
    ],
)
def test_one_spelling_of_an_address(written: str, address: str) -> None:
    assert canonical_address(written) == canonical_address(address) == address
    assert canonical_name(f"openai:org/m@v2@{written}") == f"openai:org/m@v2@{address}"
    label = TeacherRef(backend="openai", model="org/m@v2", endpoint=written)
    assert book_name(label) == booked_as(TeacherSettings(spec=f"openai:org/m@v2@{written}"))


@pytest.mark.parametrize("name", ["evidence", "vllm:org/model", "transformers:/models/x/", "openai:m@ftp://h/", "odd"])
def test_names_without_an_address_stay_as_they_are(name: str) -> None:
    assert canonical_name(name) == name


@pytest.mark.parametrize(
    "written",
    ["http://me:hunter2@host/v1", "http://host/v1?key=hunter2", "http://host/v1#hunter2", "http://:hunter2@h"],
)
def test_what_may_be_a_secret_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(UsageError, match="environment variable") as caught:
        canonical_address(written)
    assert "hunter2" not in str(caught.value) and "give http://h" in str(caught.value)


def test_a_key_is_for_scheme_host_and_port() -> None:
    assert host_of("HTTP://Host/a") == host_of("http://host:80/b") == "http://host"
    assert len({host_of(each) for each in ("http://h/v1", "https://h/v1", "http://h:81/v1", "http://g/v1")}) == 4
