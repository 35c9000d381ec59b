"""Turn document text into a validated, costed operation, once per document."""
