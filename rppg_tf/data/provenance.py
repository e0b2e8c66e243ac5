"""Where recordings come from: said by their folders, kept by their build.

A recording without a word of its origin is of unknown origin, whatever its
name.
"""

import pathlib

RENDERED = 'rendered'
UNKNOWN = 'unknown'

# Written by tools/render_recordings beside a recording.
RENDER_PARAMETERS = 'render.json'


def origin(folder: pathlib.Path) -> str:
  """Returns the origin of the recording in a folder, RENDERED or UNKNOWN."""
  rendered = (folder / RENDER_PARAMETERS).is_file()
  return RENDERED if rendered else UNKNOWN
