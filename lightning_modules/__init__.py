"""Networks, their training and their export: torch and Lightning, no paths."""
