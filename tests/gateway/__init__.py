"""Tests of the gateway, in the same layout as the package."""
