"""Fault trials: the kit's commands are killed, starved and lied to, and must lose nothing."""
