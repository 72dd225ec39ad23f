"""What `export` writes itself: a workbook, and the description of its files."""
