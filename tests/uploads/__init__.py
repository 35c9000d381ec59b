"""Files: received, refused, kept, served, attached to posts and swept away."""
