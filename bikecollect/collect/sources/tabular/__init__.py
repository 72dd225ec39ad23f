"""Parts of other programs' tables: polls, and the lists beside their rows."""
