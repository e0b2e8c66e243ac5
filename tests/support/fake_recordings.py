"""Small recordings in UBFC's layout, and ways to break them, for the tests."""

import cv2
import numpy as np
from skimage import data

RATE_HZ = 30.0
NUM_FRAMES = 120


def write_recording(
  folder,
  num_frames=NUM_FRAMES,
  num_stamps=None,
  rate_bpm=72.0,
  has_face=True,
  fourcc='MJPG',
):
  """A still of a face, its brightness pulsing, and a matching PPG."""
  folder.mkdir(parents=True, exist_ok=True)
  face = cv2.resize(data.astronaut()[:320, 80:400, ::-1], (240, 240))
  if not has_face:
    face = np.full_like(face, 127)
  writer = cv2.VideoWriter(
    str(folder / 'vid.avi'),
    cv2.VideoWriter_fourcc(*fourcc),
    RATE_HZ,
    (240, 240),
  )
  for frame in range(num_frames):
    pulse = np.cos(2 * np.pi * rate_bpm / 60 * frame / RATE_HZ)
    writer.write(cv2.convertScaleAbs(face, alpha=0.9 + 0.05 * pulse))
  writer.release()
  write_ground_truth(folder, num_stamps or num_frames, rate_bpm)
  return folder


def write_ground_truth(folder, num_stamps, rate_bpm=72.0):
  time_s = np.arange(num_stamps) / RATE_HZ
  ppg = np.cos(2 * np.pi * rate_bpm / 60 * time_s)
  lines = (ppg, np.full_like(time_s, 127.0), time_s)
  text = ''.join(
    ' '.join(f'{value:.7e}' for value in line) + '\n' for line in lines
  )
  (folder / 'ground_truth.txt').write_text(text)


def truncate(path, share=0.5):
  content = path.read_bytes()
  path.write_bytes(content[: int(len(content) * share)])


def edit_line(folder, number, edit):
  path = folder / 'ground_truth.txt'
  lines = path.read_text().splitlines()
  lines[number - 1] = edit(lines[number - 1])
  path.write_text('\n'.join(lines) + '\n')
