"""The process that listens: uvicorn's protocols, timeouts, worker supervision and shutdown."""
