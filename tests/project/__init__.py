"""The project as a whole: its documentation and its examples."""
