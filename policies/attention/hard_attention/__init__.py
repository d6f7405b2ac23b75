"""Hard attention: which tokens are read at all.

The choice is the same in training, evaluation and recording, so that a policy's ratio is 1 before
its first update. Noise, where a mechanism has some, is drawn for the gradient alone.
"""
