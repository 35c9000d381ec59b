"""Detect, clean, validate and resize uploaded images."""
