"""The end of an encoder: tokens in, one vector out, one file for each readout."""
