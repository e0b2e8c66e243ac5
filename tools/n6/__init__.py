"""STM32N6's rules for a TFLite file, and ST's reports of one."""
