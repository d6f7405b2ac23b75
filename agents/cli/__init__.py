"""The command line: `attention-agents train|evaluate|replay`, one file each, free of torch."""
