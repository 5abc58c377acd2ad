"""Pure: the tables of networks, and what follows from them."""
