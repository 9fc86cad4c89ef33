"""Reads run folders, writes self-contained pages; never imports torch."""

from wellposed.report._figures import Estimate as Estimate
from wellposed.report._figures import Frame as Frame
from wellposed.report._figures import Line as Line
from wellposed.report._figures import interval_chart as interval_chart
from wellposed.report._figures import line_chart as line_chart
from wellposed.report._page import render as render
from wellposed.report._page import render_audit as render_audit
from wellposed.report._page import standalone as standalone
from wellposed.report._relaxations import Relaxations as Relaxations
from wellposed.report._relaxations import relaxations as relaxations
from wellposed.report._relaxed_page import relaxed_page as relaxed_page
