"""Names of files that are called after photos are names on every system."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from anthropo.files import is_device_name, portable_name


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("CON.png", "%43ON.png"),
        ("aux.html", "%61ux.html"),
        ("nul", "%6Eul"),
        ("COM1 .txt", "%43OM1 .txt"),
        ("lpt³", "%6Cpt³"),
        ("console.png", "console.png"),
        ("a:b", "a%3Ab"),
        ("50%", "50%25"),
        ("face. .", "face%2E%20%2E"),
        ("über 1.png", "über 1.png"),
        ("tab\there", "tab%09here"),
    ],
)
def test_names_that_every_system_takes(name: str, portable: str) -> None:
    assert portable_name(name) == portable
    assert unquote(portable) == name
    assert not is_device_name(portable)
