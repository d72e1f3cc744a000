"""Arrays in; pictures and files out."""
