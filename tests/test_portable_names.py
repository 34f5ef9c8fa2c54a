"""Names of files that are called after photos are names on every system."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from anthropo.errors import InputError
from anthropo.files import is_device_name, portable_name, refuse_device_name


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


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("CON.html", "CON.html"),
        ("C:\\reports\\aux.csv", "aux.csv"),
        ("C:/reports/Nul", "Nul"),
        ("\\\\server\\share\\COM1.json", "COM1.json"),
        ("prn\\page.html", "prn"),
        ("figures\\LPT9 .svg", "LPT9 .svg"),
        ("conin$", "conin$"),
    ],
)
def test_windows_refuses_devices_wherever_they_stand(path: str, device: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse_device_name(path, "nt")
    assert str(caught.value) == f"{path}: Windows takes {device} for a device. Give another name."
    refuse_device_name(path, "posix")


@pytest.mark.parametrize(
    "path", ["C:\\Users\\con artist\\console.html", "D:report.html", "common.csv", "a.con"]
)
def test_windows_takes_names_that_only_look_alike(path: str) -> None:
    refuse_device_name(path, "nt")
