"""The face in a video: found, followed and cut into ROIs."""
