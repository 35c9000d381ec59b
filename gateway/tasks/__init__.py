"""Tasks beside requests: migration at startup, periodic jobs."""
