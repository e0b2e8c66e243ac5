"""Runs vitallens' POS, CHROM and G on colour traces, in vitallens' own venv.

  build/vitallens/bin/python tests/vitallens_peer.py TRACES.npz PULSES.npz

TRACES holds float64 [samples, 3] at 30 Hz by name; PULSES gets float64
[samples] as NAME/pos, NAME/chrom, NAME/green.
"""

import sys

import numpy as np
from vitallens.methods import chrom, g, pos

_RATE_HZ = 30.0


def main(traces_path: str, pulses_path: str) -> None:
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


if __name__ == '__main__':
  main(*sys.argv[1:])
