"""Reads run folders, writes self-contained pages; never imports torch."""
