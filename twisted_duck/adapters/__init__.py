"""Between our interfaces and those of `twisted.mail`, both ways round."""
