"""Video files and cameras: frames and their times."""
