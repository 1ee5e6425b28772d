"""Kantata OX behind the PSA port; nothing outside this folder may know its words."""
