"""The firmware run on a PC or in QEMU, and measured."""
