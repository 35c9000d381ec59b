"""The secret that signs access tokens."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from gateway.settings import Settings

FILE = "auth_secret"


def signing_secret(settings: Settings) -> str:
    """`AUTH_SECRET`; in development, one that is made once and kept in the data folder, so that sign-ins outlive us."""
    return settings.auth_secret or kept(settings.data_folder)


def kept(folder: Path) -> str:
    """The folder's secret, readable by its owner alone. Of several processes that make one, the first wins."""
    path = folder / FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made, name = tempfile.mkstemp(dir=folder, prefix=f".{FILE}.")
        try:
            os.write(made, secrets.token_urlsafe(48).encode())
            publish(Path(name), path)
        finally:
            os.close(made)
            Path(name).unlink()
    return path.read_text().strip()


def publish(made: Path, path: Path) -> None:
    """Give a whole file its name, unless another has it: nobody ever reads half a secret."""
    with suppress(FileExistsError):
        path.hardlink_to(made)
