"""Which subject is in which split. Pure Python.

A split never divides a subject: windows of one person on both sides of a
random split are what makes published figures of such networks too good
(docs/architecture.md).
"""

import csv
import os
import random
import re
import zlib
from collections.abc import Iterable, Mapping

from rppg_tf.errors import InputError

SPLITS = ('train', 'validation', 'test')

# UBFC's DATASET_2 has these 42.
UBFC_SUBJECT_NUMBERS = (
  1,
  *range(3, 6),
  *range(8, 19),
  20,
  *range(22, 28),
  *range(30, 50),
)
UBFC_NUM_TRAIN = 28
UBFC_NUM_VALIDATION = 6  # the other 8 are for the test
UBFC_DRAW_SEED = 0

# For any other name: last digit of its last number.
VALIDATION_DIGITS = (5,)
TEST_DIGITS = (3, 7)


def draw_ubfc_splits() -> dict[str, str]:
  """The draw that is committed as tfds_ubfc/subject_splits.csv."""
  numbers = list(UBFC_SUBJECT_NUMBERS)
  random.Random(UBFC_DRAW_SEED).shuffle(numbers)
  num_before_test = UBFC_NUM_TRAIN + UBFC_NUM_VALIDATION
  split = {}
  for position, number in enumerate(numbers):
    if position < UBFC_NUM_TRAIN:
      split[number] = 'train'
    elif position < num_before_test:
      split[number] = 'validation'
    else:
      split[number] = 'test'
  return {f'subject{number}': split[number] for number in sorted(split)}


def read_split_table(path: str | os.PathLike) -> dict[str, str]:
  """Reads a table of `subject,split` rows under that header.

  Raises:
    ValueError: other columns, an unknown split or a subject listed twice.
  """
  with open(path, newline='', encoding='utf-8') as file:
    reader = csv.DictReader(file)
    if reader.fieldnames != ['subject', 'split']:
      raise ValueError(
        f'{path}: expected the columns subject,split, got '
        f'{reader.fieldnames}: mend the header'
      )
    rows = list(reader)
  table: dict[str, str] = {}
  for row in rows:
    if row['split'] not in SPLITS:
      raise ValueError(
        f'{path}: split must be one of {SPLITS}, got {row["split"]!r} for '
        f'{row["subject"]}: mend that row'
      )
    if row['subject'] in table:
      raise ValueError(f'{path}: {row["subject"]} twice: remove one row')
    table[row['subject']] = row['split']
  return table


def split_of(subject: str, table: Mapping[str, str]) -> str:
  """The split of a subject.

  Args:
    subject: name of the subject's folder.
    table: subject -> split, as from `read_split_table`.

  Returns:
    The table's split if it lists the subject. Otherwise by the last digit of
    the last decimal number in the name: 3 or 7 test, 5 validation, others
    train; of a name without a number, that of its CRC-32.
  """
  if subject in table:
    return table[subject]
  numbers = re.findall(r'[0-9]+', subject)
  number = int(numbers[-1]) if numbers else zlib.crc32(subject.encode())
  if number % 10 in TEST_DIGITS:
    return 'test'
  if number % 10 in VALIDATION_DIGITS:
    return 'validation'
  return 'train'


def fold_split(
  subjects: Iterable[str], num_folds: int, fold: int, seed: int = 0
) -> dict[str, list[str]]:
  """One fold of a k-fold cross-validation by subject.

  Over all folds every subject is in the test once and validates once; fold
  sizes differ by at most one.

  Args:
    subjects: names; their order and repetitions do not matter.
    num_folds: 3 to the number of subjects.
    fold: which fold to test on, 0 to num_folds - 1; the next one validates.
    seed: of the shuffle.

  Returns:
    {split: subjects, sorted} for each of SPLITS.

  Raises:
    InputError: num_folds or fold out of range.
  """
  names = sorted(set(subjects))
  if not 3 <= num_folds <= len(names):
    raise InputError(
      f'num_folds: expected 3 to {len(names)} (the number of subjects), got '
      f'{num_folds}; choose fewer folds or add subjects'
    )
  if not 0 <= fold < num_folds:
    raise InputError(
      f'fold: expected 0 to {num_folds - 1} of {num_folds} folds, got {fold}'
    )
  random.Random(seed).shuffle(names)
  test = sorted(names[fold::num_folds])
  validation = sorted(names[(fold + 1) % num_folds :: num_folds])
  train = sorted(set(names) - set(test) - set(validation))
  return {'train': train, 'validation': validation, 'test': test}
