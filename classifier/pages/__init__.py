"""The HTML page of a report: it shows numbers that `analysis.results` has computed."""
