"""Image uploads: type detection, decoding, metadata removal and thumbnails."""
