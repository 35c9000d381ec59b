"""Tests of authentication, in the same layout as the package."""
