"""The five papers: their systems under their own protocols and under an honest one, and the effect of each fault."""
