"""What learns: the classifier (plain torch) and the Lightning module that fine-tunes it."""
