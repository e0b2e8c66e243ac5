"""Compares beat labels with the spectrum of the PPG on real UBFC files.

    python -m tools.check_labels --ground_truth_dir=DATASET_2

For each recording, over 10 s windows every 1 s: |rate of the highest peak of
the PPG's spectrum - mean of the labels|. The two disagree honestly where
breathing moves the rate: the spectrum then has several peaks, and the highest
is not the mean. Last line: the mean over the recordings.
"""

from absl import flags

from rppg_tf.entry_point import run
from tools.studies import labels

_GROUND_TRUTH_DIR = flags.DEFINE_string(
  'ground_truth_dir',
  None,
  'Folder below which every subject*/ground_truth.txt is read.',
  required=True,
)


def main() -> None:
  """Prints the table."""
  labels.print_table(_GROUND_TRUTH_DIR.value)


if __name__ == '__main__':
  run(main)
