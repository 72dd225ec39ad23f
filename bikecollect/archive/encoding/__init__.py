"""How the columns of an archived day are encoded: chosen by trial, then combined."""
