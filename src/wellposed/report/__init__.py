"""Reads run folders, writes self-contained pages; never imports torch."""

from wellposed.report._page import render as render
