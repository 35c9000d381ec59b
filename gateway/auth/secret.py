"""The secret that signs access tokens: `AUTH_SECRET`, or a generated one in development."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from gateway.settings import Settings

FILE_NAME = "auth_secret"


def get_auth_secret(settings: Settings) -> str:
    """Return `AUTH_SECRET`; in development without one, a secret generated once, so sessions survive a restart."""
    return settings.auth_secret or load_or_create_secret(settings.data_folder)


def load_or_create_secret(folder: Path) -> str:
    """Return the secret in the folder's file, which only its owner can read; create it if it is missing.

    If several processes create it at once, all return the first one.
    """
    path = folder / FILE_NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{FILE_NAME}.")
        try:
            os.write(descriptor, secrets.token_urlsafe(48).encode())
            create_exclusively(Path(name), path)
        finally:
            os.close(descriptor)
            Path(name).unlink()
    return path.read_text().strip()


def create_exclusively(written: Path, path: Path) -> None:
    """Link a complete file to `path` unless that exists. Atomic, so no process reads half a secret."""
    with suppress(FileExistsError):
        path.hardlink_to(written)
