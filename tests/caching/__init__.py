"""Answers that are given again: never when something that they show has changed."""
