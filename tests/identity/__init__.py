"""Who is asking, in all the ways in which that is told."""
