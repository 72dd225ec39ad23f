"""Other engines for the reports: their SQL, and the views over the archive for it."""
