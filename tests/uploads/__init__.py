"""Tests of uploads: validation, storage, downloads, attachments and cleanup."""
