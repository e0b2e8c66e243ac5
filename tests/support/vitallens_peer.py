"""Runs vitallens' POS, CHROM and G, in vitallens' own venv.

  PYTHON=build/vitallens/bin/python
  $PYTHON tests/support/vitallens_peer.py traces TRACES.npz PULSES.npz
  $PYTHON tests/support/vitallens_peer.py videos FOLDER OUT_DIR

`traces`: TRACES holds float64 [samples, 3] at 30 Hz by name; PULSES gets
float64 [samples] as NAME/pos, NAME/chrom, NAME/green.

`videos`: OUT_DIR/subjectN.npz gets float64 [frames], pos and chrom, of every
FOLDER/subjectN/vid.avi, whose third line of ground_truth.txt gives the frame
rate; vitallens finds the face by itself. Those that are there are kept.
"""

import pathlib
import sys

import cv2
import numpy as np
from vitallens import VitalLens
from vitallens.methods import chrom, g, pos

_RATE_HZ = 30.0


def run_traces(traces_path: str, pulses_path: str) -> None:
  methods = {
    'pos': pos.POSRPPGMethod(),
    'chrom': chrom.CHROMRPPGMethod(),
    'green': g.GRPPGMethod(),
  }
  pulses = {}
  with np.load(traces_path) as traces:
    for name in traces.files:
      for method_name, method in methods.items():
        # A copy: the filters of vitallens work in place.
        trace = traces[name].copy()
        pulses[f'{name}/{method_name}'] = method.algorithm(trace, _RATE_HZ)
  np.savez(pulses_path, **pulses)


def run_videos(folder: str, out_dir: str) -> None:
  out = pathlib.Path(out_dir)
  out.mkdir(parents=True, exist_ok=True)
  for recording in sorted(pathlib.Path(folder).glob('subject*')):
    path = out / f'{recording.name}.npz'
    if path.exists():
      continue
    pulses = _pulses(recording)
    beside = out / f'.{recording.name}.npz'
    np.savez(beside, **pulses)
    beside.rename(path)
    print(f'vitallens: {recording.name}', file=sys.stderr, flush=True)


def _pulses(recording: pathlib.Path) -> dict[str, np.ndarray]:
  frames = _read_rgb(recording / 'vid.avi')
  lines = (recording / 'ground_truth.txt').read_text().splitlines()
  time_s = np.array(lines[2].split(), float)
  fps = (len(time_s) - 1) / (time_s[-1] - time_s[0])
  pulses, found = {}, None
  for method in ('pos', 'chrom'):
    lens = VitalLens(
      method=method, detect_faces=found is None, export_to_json=False
    )
    (face,) = lens(frames, faces=found, fps=fps)
    # Found once, for both methods.
    found = np.array(face['face']['coordinates'])
    pulses[method] = np.array(face['waveforms']['ppg_waveform']['data'])
  return pulses


def _read_rgb(path: pathlib.Path) -> np.ndarray:
  video = cv2.VideoCapture(str(path))
  frames = []
  while True:
    ok, frame_bgr = video.read()
    if not ok:
      return np.array(frames)
    frames.append(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB))


if __name__ == '__main__':
  {'traces': run_traces, 'videos': run_videos}[sys.argv[1]](*sys.argv[2:])
