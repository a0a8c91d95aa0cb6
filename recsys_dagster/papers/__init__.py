"""The five papers as published, beside the same systems under an honest protocol, and what each fault does."""
