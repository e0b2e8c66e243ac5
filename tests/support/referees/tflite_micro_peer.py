"""Runs a TFLite file in tflite-micro's interpreter, in the referees' venv.

  build/referees/bin/python tests/support/referees/tflite_micro_peer.py \
    MODEL.tflite CODES.npy FEATURES.npy

CODES holds int8 [n, 36, 36, 3]; FEATURES gets int8 [n, 16].
"""

import sys

import numpy as np
from tflite_micro import runtime


def main(model_path: str, codes_path: str, features_path: str) -> None:
  interpreter = runtime.Interpreter.from_file(model_path)
  features = []
  for image in np.load(codes_path):
    interpreter.set_input(image[np.newaxis], 0)
    interpreter.invoke()
    features.append(interpreter.get_output(0)[0].copy())
  np.save(features_path, np.array(features))


if __name__ == '__main__':
  main(*sys.argv[1:])
